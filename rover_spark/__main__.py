"""The program: takes Ctrl-C and SIGTERM before anything else is loaded, then hands over to the command line."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Entry point of the console script."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _too_early)
    from rover_spark.cli import app

    app()


def _too_early(number: int, frame: FrameType | None) -> None:
    """Before a command has begun, or after it has ended, nothing is under way: no word, the shell's own exit code."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
