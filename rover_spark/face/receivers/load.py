"""``load`` as a function: what is new at a place into a DuckDB file or Delta tables, with the current state as views."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rover_spark.config.mistakes import likely
from rover_spark.consume.load.due import LOOK_BACK
from rover_spark.consume.load.report import Loaded
from rover_spark.consume.place import Place, open_place
from rover_spark.deliver.progress import Done, LoggedProgress, Progress
from rover_spark.errors import ConfigError, Problem, RunError
from rover_spark.face.receivers.advice import advising
from rover_spark.face.results import LoadResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from rover_spark.config.settings import Settings
    from rover_spark.consume.load.port import Counts, Warehouse
    from rover_spark.consume.load.run import Notice
    from rover_spark.delta.session import Session

ENGINES = ("duckdb", "spark")
_FILES = (".duckdb", ".ddb", ".db")


def load(
    url: str | None = None,
    *,
    into: str | Path,
    engine: str | None = None,
    spark: SparkSession | Session | None = None,
    settings: Settings | None = None,
    manifests: str | None = None,
    look_back: timedelta = LOOK_BACK,
    strict: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> LoadResult:
    """Loads what is new at ``url``, or where ``settings`` deliver to, into a DuckDB file or Delta tables.

    ``into`` is the file; for Delta a path, SCHEMA or CATALOG.SCHEMA, and ``spark`` is needed. The engine follows from ``into``
    where none is named: ``duckdb`` for a file that ends in .duckdb, .ddb or .db, ``spark`` for all else. ``manifests`` is the URL of completion manifests that are neither below ``url`` nor
    beside it, else that of ``settings``. ``look_back`` is how far before the last loaded hour of a dataset files are looked for.
    With ``strict`` the result is not ``ok`` where anything went into the quarantine.

    Raises:
        ConfigError: no such engine or place, a package is missing, a file that is no DuckDB file.
        RunError: the tables cannot be written. StoreError: the place cannot be listed or read.
    """
    engine = _engine(str(into), engine)
    access = settings.access if settings is not None else None
    if url is None and settings is None:
        raise ConfigError(
            "neither a URL nor a configuration is named",
            code="place_unknown",
            remedy="Name the place of the export: rover-spark load s3://bucket/prefix --into FILE.",
        )
    if engine == "spark" and spark is None:
        raise ConfigError(
            f"into {into}: Delta tables are loaded by Spark, and no session is given",
            code="no_spark",
            remedy="Give load the argument spark, or name a file that ends in .duckdb.",
        )
    place = open_place(url if url is not None else settings.destination if settings else "", access)
    other = _manifests(manifests, settings)
    now = now or datetime.now(timezone.utc)  # noqa: TID251 - the one clock: above what is loaded
    progress = progress or LoggedProgress()
    opened = (
        _duckdb(Path(into), now) if spark is None or engine == "duckdb" else _delta(spark, str(into), now)
    )
    with advising("load"), opened as warehouse:
        found = _loaded(place, warehouse, other, look_back, now, progress)
    ok = not found.unread and not (strict and found.quarantined)
    return LoadResult(
        result="failed" if not ok else "done" if found.datasets else "nothing to do",
        ok=ok,
        problems=tuple(_problems(found, _quarantine(engine, str(into)))),
        engine=engine,
        into=str(into),
        place=url if url is not None else place.destination,
        datasets=found.datasets,
        manifests=found.batches,
        waiting=found.waiting,
        unnamed=found.unnamed,
        quarantined=found.quarantined,
        strays=found.strays,
    )


def load_stream(
    spark: SparkSession | Session,
    url: str,
    *,
    into: str,
    checkpoint: str,
    interval: str | None = None,
    address: str | None = None,
    objects: DataFrame | None = None,
    objects_a_batch: int = 10_000,
    settings: Settings | None = None,
) -> StreamingQuery:
    """Starts a Structured Streaming query that loads the objects at ``url`` into Delta tables as they come.

    It takes all that is there and ends (``availableNow``); with ``interval``, as "1 minute", it stays. ``checkpoint`` is a
    directory of its own. ``objects`` is a stream with ``path`` and ``length`` of each object, as Auto Loader gives it with the
    format binaryFile; else Spark's source of files lists ``address``, the URL as Spark writes it (s3a, abfss). Manifests are not asked: an object is loaded when it is seen.

    Raises:
        ConfigError: no such place, a package is missing.
    """
    from rover_spark.consume.load.delta.place import Into
    from rover_spark.consume.load.delta.stream import objects_of, stream
    from rover_spark.delta.session import Session

    place = open_place(url, settings.access if settings is not None else None)
    if objects is None:
        address = address or (url if "://" in url else Path(url).resolve().as_uri())
        objects = objects_of(Session.of(spark).spark, address, objects_a_batch)
    now = partial(datetime.now, timezone.utc)  # noqa: TID251 - the one clock: above what is loaded
    return stream(objects, place, Into.of(into), checkpoint, now, interval)


def uses_spark(into: str, engine: str | None) -> bool:
    """Whether Spark loads: where it is named, or no engine is and ``into`` does not end as a DuckDB file does."""
    return engine == "spark" if engine is not None else not into.endswith(_FILES)


def _engine(into: str, named: str | None) -> str:
    if named is not None and named not in ENGINES:
        raise ConfigError(
            f"--engine {named}: there is no such engine{likely(named, ENGINES)}",
            code="engine_unknown",
            remedy="There are duckdb and spark. For other warehouses rover-spark ddl prints statements that load.",
        )
    return "spark" if uses_spark(into, named) else "duckdb"


def loaded_views(spark: SparkSession | Session, path: str) -> tuple[str, ...]:
    """Makes the tables that were loaded into a path, and the views of the current state, temporary views of the session.

    Returns their names. Tables in a schema need it not: their views stand in the schema.

    Raises:
        ConfigError: nothing was loaded there. RunError: Spark failed.
    """
    from rover_spark.consume.load.delta.place import Into
    from rover_spark.consume.load.delta.views import open_path
    from rover_spark.delta.session import Session

    with _by_spark(path):
        return open_path(Session.of(spark).spark, Into.of(path))


def _manifests(url: str | None, settings: Settings | None) -> Place | None:
    """Where manifests have a place of their own: as it is named, else as the configuration says, if it is there already."""
    access = settings.access if settings is not None else None
    if url is not None:
        return open_place(url, access)
    if settings is not None and settings.manifests.place is not None:
        with suppress(ConfigError):
            return open_place(settings.manifests.place, access)
    return None


@contextmanager
def _duckdb(into: Path, now: datetime) -> Iterator[Warehouse]:
    try:
        import duckdb  # noqa: F401 - what it is missed by

        from rover_spark.consume.load.duckdb.warehouse import opened
    except ImportError as error:
        raise _missing(error, "duckdb") from None
    with opened(into, lambda: now) as warehouse:
        yield warehouse


@contextmanager
def _delta(spark: SparkSession | Session, into: str, now: datetime) -> Iterator[Warehouse]:
    try:
        from rover_spark.consume.load.delta.place import Into
        from rover_spark.consume.load.delta.warehouse import DeltaTables
    except ImportError as error:
        raise _missing(error, "spark,conform,ddl") from None
    from rover_spark.delta.session import Session
    from rover_spark.face.pinned import pinned

    where, session = Into.of(into), Session.of(spark)
    with _by_spark(into), pinned(session):
        yield DeltaTables(session.spark, where, lambda: now)


@contextmanager
def _by_spark(into: str) -> Iterator[None]:
    """What Spark and Delta raise becomes a message of the loader's."""
    from rover_spark.delta.causes import first_line
    from rover_spark.delta.engine_errors import ENGINE_ERRORS, text_of

    try:
        yield
    except ENGINE_ERRORS as error:
        text = text_of(error)
        busy = "DELTA_CONCURRENT" in text or "ConcurrentTransactionException" in text
        raise RunError(
            f"--into {into}: {'another run loads into it at the same time' if busy else 'Spark failed'}: {first_line(text)};"
            " what was loaded before is kept",
            code="into_busy" if busy else "into_failed",
            remedy="Run load again." if busy else "Look at Spark's log, and run load again.",
        ) from error


def _missing(error: ImportError, extras: str) -> ConfigError:
    return ConfigError(
        f"the Python package {error.name} is not installed",
        code="no_sdk",
        remedy=f"Install rover_spark[{extras}].",
    )


def _loaded(
    place: Place,
    warehouse: Warehouse,
    manifests: Place | None,
    look_back: timedelta,
    now: datetime,
    progress: Progress,
) -> Loaded:
    from rover_spark.consume.load.run import load as run

    @contextmanager
    def watching(objects: int) -> Iterator[Notice]:
        done = [Done()]

        def notice(counts: Counts, size: int) -> None:
            before = done[-1]
            count = before.rows + counts.objects + len(counts.gone) + len(counts.unread)
            done[0] = Done(count, count, before.bytes + size)

        with progress.watch("loading", objects, lambda: done[0], "objects"):
            yield notice

    return run(place, warehouse, now=now, manifests=manifests, look_back=look_back, watching=watching)


def _quarantine(engine: str, into: str) -> str:
    """What shows the quarantine."""
    if engine == "duckdb":
        return f"Ask {into}: FROM rover_load.quarantine"
    return f"The table rover_load_quarantine in {into}"


def _problems(found: Loaded, quarantine: str) -> Iterator[Problem]:
    if found.quarantined:
        bad, damaged = (
            sum(getattr(each, name) for each in found.datasets) for name in ("bad_lines", "damaged")
        )
        parts = [(bad, "line"), (damaged, "object"), (found.manifests_refused, "manifest")]
        named = ", ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in parts if count)
        yield Problem(
            "load_quarantined",
            f"in the quarantine: {named}; all else is loaded",
            f"{quarantine} says which and why.",
        )
    for each in found.unread:
        yield Problem("object_unreadable", f"{each.key} cannot be read: {each.reason}", "Run load again.")
