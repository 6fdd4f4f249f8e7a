"""The two streams: standard output has the result, or one JSON document and nothing else; standard error has the rest."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console

from rover_spark.deliver.progress import LoggedProgress, Progress
from rover_spark.errors import Problem
from rover_spark.face.console import problems
from rover_spark.face.console.progress import TerminalProgress
from rover_spark.face.results import Result


class ErrorLines(logging.Handler):
    """Logs to the ``sys.stderr`` of the moment: while progress is drawn, lines appear above it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        with suppress(OSError, ValueError):  # a terminal that was closed
            sys.stderr.write(f"{self.format(record)}\n")


def set_up(verbose: bool) -> None:
    """Sets up logging and warnings; only ``verbose`` lets those of libraries through."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a character that the terminal cannot show must not fail the command
            stream.reconfigure(errors="backslashreplace")
    handler = ErrorLines()
    if not verbose:
        handler.addFilter(logging.Filter("rover_spark"))
        warnings.simplefilter("ignore")
    # does nothing where the host program has set up logging
    logging.basicConfig(
        handlers=[handler], format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING
    )
    logging.getLogger("rover_spark").setLevel(logging.INFO)
    logging.getLogger("py4j").setLevel(logging.ERROR if verbose else logging.CRITICAL + 1)


def progress_of(verbose: bool) -> Progress:
    """Drawn progress on a terminal, elsewhere a line a step."""
    console = Console(stderr=True)
    return TerminalProgress(console) if console.is_interactive and not verbose else LoggedProgress()


def console_of(stream: TextIO) -> Console:
    """The console for results. A pipe or a log file has no width of its own: 200 columns."""
    return Console(file=stream) if stream.isatty() else Console(file=stream, width=200)


def show_result(result: Result, as_json: bool, progress: Progress) -> None:
    """Prints a command's result."""
    with progress.quiet():  # progress draws on the same terminal
        if as_json:
            return _print(result.document())
        from rover_spark.face.console.results import show

        show(console_of(sys.stdout), result)


def refuse(command: str, problem: Problem, as_json: bool) -> None:
    """Prints why there is no result."""
    problems(Console(stderr=True), [problem])
    if as_json:
        _print(Result(command=command, result="failed", ok=False, problems=(problem,)).document())


def _print(document: dict[str, Any]) -> None:
    narrow = (sys.stdout.encoding or "").lower() not in {"utf-8", "utf8"}
    sys.stdout.write(json.dumps(document, ensure_ascii=narrow) + "\n")
    sys.stdout.flush()
