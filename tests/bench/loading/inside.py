"""One load of one contender in this process: `python -m tests.bench.loading.inside NAME JSON`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.loading.contenders import Job, named


def main(name: str, text: str) -> None:
    """Loads. What it prints last is JSON, as of all that is measured; it has nothing to say."""
    tree = json.loads(text)
    named(name).load(Job(**{**tree, "place": Path(tree["place"]), "into": Path(tree["into"])}))
    print("{}")


if __name__ == "__main__":
    main(*sys.argv[1:])
