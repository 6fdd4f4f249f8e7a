"""`rover-spark`: arguments → settings → one command → exit code.

Exit codes: 0 done, 1 the run or a check failed, 2 wrong usage or configuration, 130 Ctrl-C, 143 SIGTERM. With ``--json`` one JSON document
stands on standard output and nothing else; everything else goes to standard error.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rover_spark.errors import Problem, RoverSparkError
from rover_spark.face.arguments import age, instant
from rover_spark.face.console.streams import console_of, progress_of, refuse, set_up, tell
from rover_spark.face.result import named
from rover_spark.face.stopping import Signals, UnderWay
from rover_spark.face.unexpected import problem_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from rover_spark.deliver.progress import Progress
    from rover_spark.face.result import Result

    Command = Callable[[SparkSession, UnderWay], Result]

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

# what a person waits for, until something more telling is under way
_WAITS = {
    "demo": "looking at the demo's directory",
    "export": "looking at tables",
    "export_every": "waiting for changes",
    "plan": "looking at tables",
    "status": "looking at tables",
    "check": "trying what delivery needs",
    "quarantine": "looking at the quarantine",
    "redeliver": "looking at the ledger",
    "verify": "reading the bucket back",
    "sweep": "looking for what was left behind",
}

Config = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        envvar="ROVER_SPARK_CONFIG",
        help="The TOML configuration file.",
        show_default=False,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on standard output, the rest on standard error."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Spark's own log and every step.")]
Now = Annotated[
    str | None,
    typer.Option(
        "--now", metavar="ISO", help="The instant of this run, with a time zone, not before the last batch's."
    ),
]
Datasets = Annotated[
    list[str] | None, typer.Option("--dataset", metavar="NAME", help="Only this dataset; may repeat.")
]


def main() -> None:
    """Entry point of the console script."""
    app()


def _version(asked: bool) -> None:
    if asked:
        from rover_spark import __version__

        typer.echo(f"rover-spark {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Deliver Delta tables into customers' buckets: whole, once, provably."""


@app.command(epilog="Example: rover-spark demo --dir rover_demo")
def demo(
    directory: Annotated[
        Path, typer.Option("--dir", help="The directory of the sample company and its bucket.")
    ] = Path("rover_demo"),
    fans: Annotated[
        int, typer.Option(min=20, max=1_000_000, help="How many fans the company starts with.")
    ] = 2_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same company.")] = 7,
    destination: Annotated[
        str | None,
        typer.Option(help="A bucket to deliver into, s3://…, gs://… or az://…; by default a directory."),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Create a sample company and deliver it: snapshot, a day of changes, a rerun, events; verify and show it."""

    def command(spark: SparkSession, progress: Progress) -> Result:
        from rover_spark.demo.story import tell

        return tell(
            spark,
            directory,
            fans=fans,
            seed=seed,
            progress=progress,
            console=None if as_json else console_of(sys.stdout),
            destination=destination,
        )

    from rover_spark.demo import SESSION

    _run("demo", lambda: command, as_json, verbose, SESSION)


@app.command(epilog="Example: rover-spark export -c acme.toml")
def export(
    config: Config,
    dataset: Datasets = None,
    now: Now = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit 1 where rows went to the quarantine or another run held a dataset."
        ),
    ] = False,
    adopt_empty_ledger: Annotated[
        bool,
        typer.Option(
            "--adopt-empty-ledger",
            help="Start anew, once, over a bucket that holds files of a lost ledger.",
        ),
    ] = False,
    every: Annotated[
        str | None,
        typer.Option(
            "--every",
            metavar="AGE",
            help="Keep running: deliver when enough rows wait, or the oldest waits so long (5m).",
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Deliver what is due."""
    options: dict[str, Any]
    if every is None:
        options = {
            "datasets": dataset or (),
            "now": now,
            "strict": strict,
            "adopt_empty_ledger": adopt_empty_ledger,
        }
        _configured("export", config, as_json, verbose, options, tells=True)
    elif dataset or now or adopt_empty_ledger:
        raise typer.BadParameter(
            "goes with none of --dataset, --now and --adopt-empty-ledger", param_hint="--every"
        )
    else:
        options = {"every": every, "strict": strict, "stop": threading.Event()}
        _configured("export", config, as_json, verbose, options, tells=True, act="export_every")


@app.command(epilog="Example: rover-spark plan -c acme.toml")
def plan(
    config: Config, dataset: Datasets = None, now: Now = None, as_json: Json = False, verbose: Verbose = False
) -> None:
    """Show what export would do; changes nothing."""
    _configured("plan", config, as_json, verbose, {"datasets": dataset or (), "now": now}, tells=True)


@app.command(epilog="Example: rover-spark rerun -c acme.toml --dataset fan_profiles")
def rerun(
    config: Config,
    dataset: Annotated[str, typer.Option("--dataset", metavar="NAME", help="The dataset to start anew.")],
    accept_gap: Annotated[
        bool, typer.Option("--accept-gap", help="Give up undelivered events (fan_track_events, events).")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Ask for a snapshot rerun of a dataset at the next export; confirms any changed setting."""
    _configured("rerun", config, as_json, verbose, {"dataset": dataset, "accept_gap": accept_gap})


@app.command(epilog="Example: rover-spark accept -c acme.toml --dataset fan_profiles")
def accept(
    config: Config,
    dataset: Annotated[
        str, typer.Option("--dataset", metavar="NAME", help="The dataset whose columns changed.")
    ],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Confirm changed columns of a dataset without a snapshot: they count from the next batch on."""
    _configured("accept", config, as_json, verbose, {"dataset": dataset})


@app.command(epilog="Example: rover-spark redeliver -c acme.toml --batch fan_profiles.1.2")
def redeliver(
    config: Config,
    batch: Annotated[str, typer.Option("--batch", metavar="ID", help="The batch, as status names it.")],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Deliver a batch again from its pinned versions: the same keys, the same bytes."""
    _configured("redeliver", config, as_json, verbose, {"batch": batch}, tells=True)


@app.command(epilog="Example: rover-spark status -c acme.toml")
def status(config: Config, as_json: Json = False, verbose: Verbose = False) -> None:
    """Show where each dataset stands: phase, versions, lag, days until changes expire, quarantine, last batches."""
    _configured("status", config, as_json, verbose, {})


@app.command(epilog="Example: rover-spark verify -c acme.toml")
def verify(config: Config, as_json: Json = False, verbose: Verbose = False) -> None:
    """Read the bucket back and compare it with the ledger; exit 1 where objects are missing, changed or foreign."""
    _configured("verify", config, as_json, verbose, {}, tells=True)


@app.command(epilog="Example: rover-spark schemas -c acme_events.toml --publish")
def schemas(
    config: Config,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Also write them beside the prefix: .avsc files and a changelog."),
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show the history of an integration's schemas: ids, first batches, what changed (Currents)."""
    _configured("schemas", config, as_json, verbose, {"publish": publish})


@app.command(epilog="Example: rover-spark check -c acme.toml")
def check(config: Config, as_json: Json = False, verbose: Verbose = False) -> None:
    """Try what an export needs: tables, fields, first rows, ledger, rights, clocks; exit 1 where it would fail."""
    _configured("check", config, as_json, verbose, {})


@app.command(epilog="Example: rover-spark quarantine -c acme.toml --dataset fan_profiles")
def quarantine(
    config: Config,
    dataset: Annotated[
        str, typer.Option("--dataset", metavar="NAME", help="Only of this dataset or event type.")
    ] = "",
    batch: Annotated[str, typer.Option("--batch", metavar="ID", help="Only of this batch.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many rows to show.")] = 20,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show the rows that could not be delivered: counts by reason, the newest rows."""
    options = {"dataset": dataset, "batch": batch, "limit": limit}
    _configured("quarantine", config, as_json, verbose, options)


@app.command(epilog="Example: rover-spark sweep -c acme.toml --older-than 12h")
def sweep(
    config: Config,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="AGE", help="7d, 12h or 30m; choose more than your longest run takes."
        ),
    ] = "7d",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Remove files that abandoned runs staged."""
    _configured("sweep", config, as_json, verbose, {"older_than": older_than})


def _configured(
    name: str,
    config: Path,
    as_json: bool,
    verbose: bool,
    options: dict[str, Any],
    *,
    tells: bool = False,
    act: str = "",
) -> None:
    def prepare() -> Command:
        from rover_spark.config.settings import load

        settings = load(config)
        if options.get("now") is not None:
            options["now"] = instant(options["now"])
        for option in {"older_than", "every"} & set(options):
            options[option] = age(f"--{option.replace('_', '-')}", options[option])

        def command(spark: SparkSession, progress: UnderWay) -> Result:
            from rover_spark.face import commands

            def told(result: Result) -> None:
                progress.settle()
                tell(result.naming(str(config)), as_json, progress)

            more: dict[str, Any] = {"progress": progress} if tells else {}
            if "stop" in options:
                more["told"] = told
            result: Result = getattr(commands, act or name)(spark, settings, **options, **more)
            return result

        return command

    _run(name, prepare, as_json, verbose, waits=act, file=str(config), stop=options.get("stop"))


def _run(
    name: str,
    prepare: Callable[[], Command],
    as_json: bool,
    verbose: bool,
    conf: Mapping[str, str] | None = None,
    waits: str = "",
    file: str = "FILE",
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

    signals = Signals(name, under_way, say, _end_jvm, stop)
    with signals.held():
        try:
            with under_way.doing("starting Spark"):
                command = prepare()  # a wrong configuration is told before Spark starts
                from rover_spark.face.session import build_session

                session = build_session(verbose=verbose, conf=conf)
                from rover_spark.delta.engine_errors import engine

            signals.take()  # Spark has put a handler of its own
            under_way.starting = False
            with engine(name), under_way.doing(_WAITS.get(waits or name, "looking at the ledger")):
                result = command(session, under_way).naming(file)
            under_way.settle()
            tell(result, as_json, under_way)
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


def _end_jvm() -> None:
    from rover_spark.face.session import end_jvm

    end_jvm()
