"""Runs one command of the command line: parses, calls it, shows its result and exits with its code.

Promises one message for every error and never a stack trace, but with ``-v``; what SIGINT and SIGTERM interrupt is in
``stopping``. Spark starts when the command first asks for it; a wrong configuration or option fails before.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rover_spark.errors import Problem, RoverSparkError
from rover_spark.face.arguments import age, instant
from rover_spark.face.console.streams import progress_of, refuse, set_up, show_result
from rover_spark.face.results import Result, named
from rover_spark.face.stopping import Signals, UnderWay
from rover_spark.face.unexpected import holds, problem_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from rover_spark.config.settings import Settings
    from rover_spark.delta.session import Session

    Command = Callable[[Session, UnderWay], Result]

# what a person waits for, until the command names a step of its own
_WAITS = {
    "demo": "looking at the demo's directory",
    "export": "looking at tables",
    "plan": "looking at tables",
    "status": "looking at tables",
    "check": "trying what delivery needs",
    "quarantine": "looking at the quarantine",
    "redeliver": "looking at the ledger",
    "verify": "reading the bucket back",
    "sweep": "looking for what was left behind",
    "conform": "reading the bucket",
    "load": "looking at the bucket",
}
_WAITS_FOR_CHANGES = "waiting for changes"


@dataclass(frozen=True)
class Run:
    """What a command is called with: Spark where it needs it, the settings of its file, and its options once they are parsed.

    ``show`` shows a result while the command goes on.
    """

    session: Session
    settings: Settings
    progress: UnderWay
    now: datetime | None
    age: timedelta
    show: Callable[[Result], None]


def run_configured(
    name: str,
    config: Path,
    as_json: bool,
    verbose: bool,
    call: Callable[[Run], Result],
    *,
    now: str | None = None,
    age_of: tuple[str, str] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Runs a command that has a configuration file. ``age_of`` is an option and its text; ``stop`` ends a command that stays."""

    def prepare() -> Command:
        from rover_spark.config.settings import load

        settings = load(config)
        at = instant(now) if now is not None else None
        span = age(*age_of) if age_of else timedelta()

        def command(session: Session, progress: UnderWay) -> Result:
            def show(result: Result) -> None:
                progress.settle()
                show_result(result.naming(str(config)), as_json, progress)

            return call(Run(session, settings, progress, at, span, show))

        return command

    run_command(name, prepare, as_json, verbose, file=str(config), stop=stop)


def run_command(
    name: str,
    prepare: Callable[[], Command],
    as_json: bool,
    verbose: bool,
    conf: Mapping[str, str] | None = None,
    file: str = "FILE",
    stop: threading.Event | None = None,
) -> None:
    """Parses, runs the command, shows its result and exits. Every error is one message, never a stack trace."""

    def work(under_way: UnderWay, signals: Signals) -> Result:
        command = prepare()
        from rover_spark.face.session import build_session, is_given, require_pyspark

        require_pyspark()
        from rover_spark.delta.engine_errors import engine
        from rover_spark.delta.session import Session

        def start() -> SparkSession:
            with under_way.doing("starting Spark"):
                spark = build_session(verbose=verbose, conf=conf)
            signals.take()  # Spark has put a handler of its own
            return spark

        session = Session(start)
        if is_given():
            session.spark  # noqa: B018 - the property starts it
        under_way.starting = False
        waits = _WAITS.get(name, "looking at the ledger") if stop is None else _WAITS_FOR_CHANGES
        with engine(name, holds(name)), under_way.doing(waits):
            return command(session, under_way)

    _run(name, work, as_json, verbose, file, _end_jvm, stop)


def run_without_spark(
    name: str,
    prepare: Callable[[UnderWay], Callable[[], Result]],
    as_json: bool,
    verbose: bool,
    file: str = "FILE",
    end: Callable[[], None] = lambda: None,
) -> None:
    """The same for a command that needs neither Spark nor a configuration. ``end`` stops what must not outlive the process."""

    def work(under_way: UnderWay, signals: Signals) -> Result:
        command = prepare(under_way)
        under_way.starting = False
        with under_way.doing(_WAITS[name]):
            return command()

    _run(name, work, as_json, verbose, file, end)


def _run(
    name: str,
    work: Callable[[UnderWay, Signals], Result],
    as_json: bool,
    verbose: bool,
    file: str,
    end: Callable[[], None],
    stop: threading.Event | None = None,
) -> None:
    set_up(verbose)
    under_way = UnderWay(progress_of(verbose))

    def say(problem: Problem) -> None:
        refuse(name, named(problem, file), as_json)

    def fail(problem: Problem) -> None:
        under_way.settle()
        with under_way.quiet():
            say(problem)

    signals = Signals(name, under_way, say, end, stop)
    with signals.held():
        try:
            result = work(under_way, signals).naming(file)
            under_way.settle()
            show_result(result, as_json, under_way)
            code = 0 if result.ok else 1
        except RoverSparkError as error:
            code = error.exit_code
            fail(error.problem)
        except BrokenPipeError:  # whoever reads the output has enough of it
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one message, and with -v the rest
            code = 1
            if verbose:
                traceback.print_exc()
            fail(problem_of(error, name))
    raise typer.Exit(code)


def run_at_once(
    name: str, call: Callable[[], Result], as_json: bool, verbose: bool, file: str = "FILE"
) -> None:
    """Runs a command that needs no Spark and is done in a moment. Every error is one message, never a stack trace."""
    set_up(verbose)
    try:
        result = call().naming(file)
        show_result(result, as_json, progress_of(verbose))
        code = 0 if result.ok else 1
    except RoverSparkError as error:
        code = error.exit_code
        refuse(name, named(error.problem, file), as_json)
    except BrokenPipeError:  # whoever reads the output has enough of it
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one message, and with -v the rest
        code = 1
        if verbose:
            traceback.print_exc()
        refuse(name, named(problem_of(error, name), file), as_json)
    raise typer.Exit(code)


def _end_jvm() -> None:
    from rover_spark.face.session import end_jvm

    end_jvm()
