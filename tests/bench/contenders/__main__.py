"""One contender in this process. The last line that it prints is JSON: what its work cost without the start of the process.

With ``warm`` it works twice, and the second time counts: by then modules are loaded and the JVM has compiled what it runs.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.bench.contenders import Job, named
from tests.bench.meter import Meter


def main(name: str, text: str, times: int) -> None:
    """Works so many times; the last one is measured and its files stay."""
    tree: dict[str, Any] = json.loads(text)
    job = Job(**{**tree, "table": Path(tree["table"]), "out": Path(tree["out"])})
    act = named(job.kind, name).prepare(job)
    for _ in range(times):
        shutil.rmtree(job.out, ignore_errors=True)
        job.data.mkdir(parents=True)
        with Meter() as meter:
            act()
    spilled = sum(path.stat().st_size for path in job.local.rglob("shuffle_*"))
    print(json.dumps({**meter.figures, "shuffled": spilled}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
