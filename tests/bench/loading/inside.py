"""One load of one contender in this process: `python -m tests.bench.loading.inside NAME JSON`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.loading.contenders import Job, Unavailable, named


def main(name: str, text: str) -> None:
    """Loads; the last line is JSON: why it could not, else nothing."""
    tree = json.loads(text)
    job = Job(**{**tree, "place": Path(tree["place"]), "into": Path(tree["into"])})
    said = {}
    try:
        named(name).load(job)
    except Unavailable as error:
        said["unavailable"] = str(error)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
