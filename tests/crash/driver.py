"""One of two drivers: delivers in each world when its turn begins, at the same instant as the other.

python -m tests.crash.driver NAME OTHER WORLD…
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

from rover_spark.demo import SESSION
from rover_spark.face import commands
from rover_spark.face.session import build_session
from tests.crash.child import NOW, settings_of

CONF = {**SESSION, "spark.master": "local[1]", "spark.driver.memory": "1g"}
LIMIT = 300


def _meet(root: Path, name: str, other: str) -> None:
    """Returns in both drivers within a millisecond."""
    (root / name).touch()
    until = time.monotonic() + LIMIT
    while not (root / other).exists():
        if time.monotonic() > until:
            sys.exit(f"{other} never came")
        time.sleep(0.0005)


def main(name: str, other: str, worlds: list[Path]) -> None:
    """Writes what each run did into ``<world>/<name>.json``."""
    spark = build_session(name, conf=CONF)
    for number, root in enumerate(worlds):
        # in every other world nothing but the ledger's own transitions keeps the drivers apart, as on object storage
        alone = (
            mock.patch("rover_spark.ledger.table.leased", lambda *_: nullcontext())
            if number % 2
            else nullcontext()
        )
        with alone:
            _meet(root, name, other)
            result = commands.export(spark, settings_of(root), now=NOW)
        states = [batch.state for batch in result.batches]
        codes = [problem.code for problem in result.problems]
        (root / f"{name}.json").write_text(
            json.dumps({"result": result.result, "states": states, "codes": codes})
        )
        _meet(root, f"{name}.json", f"{other}.json")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [Path(each) for each in sys.argv[3:]])
