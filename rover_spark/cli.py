"""`rover-spark`: arguments → settings → one command → exit code.

Exit codes: 0 done, 1 the run or a check failed, 2 wrong usage or configuration, 130 Ctrl-C, 143 SIGTERM. With ``--json``
standard output holds one JSON document and nothing else; everything else goes to standard error.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rover_spark.face.arguments import Config, Datasets, Json, Now, Verbose
from rover_spark.face.console.streams import console_of
from rover_spark.face.receivers import command_line as receivers
from rover_spark.face.running import run_command, run_configured

if TYPE_CHECKING:
    from rover_spark.deliver.progress import Progress
    from rover_spark.delta.session import Session
    from rover_spark.face import commands
    from rover_spark.face.results import Result
else:

    class _Commands:
        """The module of the commands, imported at the first call: `--help` loads no Spark."""

        def __getattr__(self, name: str) -> object:
            return getattr(import_module("rover_spark.face.commands"), name)

    commands = _Commands()

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


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

    def command(session: Session, progress: Progress) -> Result:
        from rover_spark.demo.story import run

        return run(
            session.spark,
            directory,
            fans=fans,
            seed=seed,
            progress=progress,
            console=None if as_json else console_of(sys.stdout),
            destination=destination,
        )

    from rover_spark.demo import SESSION

    run_command("demo", lambda: command, as_json, verbose, SESSION)


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
    if every is None:
        run_configured(
            "export",
            config,
            as_json,
            verbose,
            lambda run: commands.export(
                run.session,
                run.settings,
                datasets=dataset or (),
                now=run.now,
                strict=strict,
                adopt_empty_ledger=adopt_empty_ledger,
                progress=run.progress,
            ),
            now=now,
        )
    elif dataset or now or adopt_empty_ledger:
        raise typer.BadParameter(
            "goes with none of --dataset, --now and --adopt-empty-ledger", param_hint="--every"
        )
    else:
        stop = threading.Event()
        run_configured(
            "export",
            config,
            as_json,
            verbose,
            lambda run: commands.export_every(
                run.session,
                run.settings,
                run.age,
                on_result=run.show,
                stop=stop,
                strict=strict,
                progress=run.progress,
            ),
            age_of=("--every", every),
            stop=stop,
        )


@app.command(epilog="Example: rover-spark plan -c acme.toml")
def plan(
    config: Config, dataset: Datasets = None, now: Now = None, as_json: Json = False, verbose: Verbose = False
) -> None:
    """Show what export would do; changes nothing."""
    run_configured(
        "plan",
        config,
        as_json,
        verbose,
        lambda run: commands.plan(
            run.session, run.settings, datasets=dataset or (), now=run.now, progress=run.progress
        ),
        now=now,
    )


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
    run_configured(
        "rerun",
        config,
        as_json,
        verbose,
        lambda run: commands.rerun(run.session, run.settings, dataset, accept_gap=accept_gap),
    )


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
    run_configured(
        "accept",
        config,
        as_json,
        verbose,
        lambda run: commands.accept(run.session, run.settings, dataset),
    )


@app.command(epilog="Example: rover-spark redeliver -c acme.toml --batch fan_profiles.1.2")
def redeliver(
    config: Config,
    batch: Annotated[str, typer.Option("--batch", metavar="ID", help="The batch, as status names it.")],
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Deliver a batch again from its pinned versions: the same keys, the same bytes."""
    run_configured(
        "redeliver",
        config,
        as_json,
        verbose,
        lambda run: commands.redeliver(run.session, run.settings, batch, progress=run.progress),
    )


@app.command(epilog="Example: rover-spark status -c acme.toml")
def status(config: Config, as_json: Json = False, verbose: Verbose = False) -> None:
    """Show the state of each dataset: phase, versions, lag, days until changes expire, quarantine, last batches."""
    run_configured(
        "status",
        config,
        as_json,
        verbose,
        lambda run: commands.status(run.session, run.settings),
    )


@app.command(epilog="Example: rover-spark verify -c acme.toml")
def verify(config: Config, as_json: Json = False, verbose: Verbose = False) -> None:
    """Read the bucket back and compare it with the ledger; exit 1 where objects are missing, changed or foreign."""
    run_configured(
        "verify",
        config,
        as_json,
        verbose,
        lambda run: commands.verify(run.session, run.settings, progress=run.progress),
    )


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
    run_configured(
        "schemas",
        config,
        as_json,
        verbose,
        lambda run: commands.schemas(run.session, run.settings, publish=publish),
    )


@app.command(epilog="Example: rover-spark check -c acme.toml")
def check(config: Config, as_json: Json = False, verbose: Verbose = False) -> None:
    """Try what an export needs: tables, fields, first rows, ledger, rights, clocks; exit 1 where it would fail."""
    run_configured(
        "check",
        config,
        as_json,
        verbose,
        lambda run: commands.check(run.session, run.settings),
    )


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
    run_configured(
        "quarantine",
        config,
        as_json,
        verbose,
        lambda run: commands.quarantine(run.session, run.settings, dataset=dataset, batch=batch, limit=limit),
    )


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
    run_configured(
        "sweep",
        config,
        as_json,
        verbose,
        lambda run: commands.sweep(run.session, run.settings, older_than=run.age),
        age_of=("--older-than", older_than),
    )


app.command(epilog="Example: rover-spark conform s3://bucket/acme --since 24h")(receivers.conform)
app.command(epilog="Example: rover-spark ddl --engine duckdb -c acme.toml")(receivers.ddl)
app.command(epilog="Example: rover-spark load s3://bucket/acme --into crm.duckdb")(receivers.load)
