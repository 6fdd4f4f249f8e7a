"""The two streams: results on standard output, or one JSON document and nothing else; the rest on standard error."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console

from rover_spark.deliver.progress import LoggedProgress, Progress
from rover_spark.errors import Problem
from rover_spark.face.console import problems
from rover_spark.face.console.progress import TerminalProgress

if TYPE_CHECKING:
    from rover_spark.face.result import Result


class ErrorLines(logging.Handler):
    """Writes to what standard error is at that moment: while progress is drawn, above it."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line, or what an error has to say."""
        with suppress(OSError, ValueError):  # a terminal that was closed
            sys.stderr.write(f"{self.format(record)}\n")


def set_up(verbose: bool) -> None:
    """What may be said on them: without ``verbose`` nothing of libraries."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    handler = ErrorLines()
    if not verbose:
        handler.addFilter(logging.Filter("rover_spark"))
        warnings.simplefilter("ignore")
    # where a host of ours logs already, it knows best what to show
    logging.basicConfig(
        handlers=[handler], format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING
    )
    logging.getLogger("rover_spark").setLevel(logging.INFO)
    logging.getLogger("py4j").setLevel(logging.ERROR if verbose else logging.CRITICAL + 1)


def progress_of(verbose: bool) -> Progress:
    """On a terminal what is under way, elsewhere a line a step."""
    console = Console(stderr=True)
    return TerminalProgress(console) if console.is_interactive and not verbose else LoggedProgress()


def console_of(stream: TextIO) -> Console:
    """Where results go. A pipe or a log file has no width to keep to."""
    return Console(file=stream) if stream.isatty() else Console(file=stream, width=200)


def tell(result: Result, as_json: bool, progress: Progress) -> None:
    """A command's result."""
    with progress.quiet():  # it writes to the same terminal
        if as_json:
            return _print(result.document())
        from rover_spark.face.console.results import show

        show(console_of(sys.stdout), result)


def refuse(command: str, problem: Problem, as_json: bool) -> None:
    """Why there is no result."""
    problems(Console(stderr=True), [problem])
    if as_json:
        _print({"command": command, "result": "failed", "batches": [], "problems": [asdict(problem)]})


def _print(document: dict[str, Any]) -> None:
    narrow = (sys.stdout.encoding or "").lower() not in {"utf-8", "utf8"}
    sys.stdout.write(json.dumps(document, ensure_ascii=narrow) + "\n")
    sys.stdout.flush()
