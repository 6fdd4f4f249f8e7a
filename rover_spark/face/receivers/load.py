"""``load`` as a function: what is new at a place into a DuckDB file, with the current state as views. Loads no Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from rover_spark.consume.load.due import LOOK_BACK
from rover_spark.consume.load.report import Loaded
from rover_spark.consume.place import Place, open_place
from rover_spark.deliver.progress import Done, LoggedProgress, Progress
from rover_spark.errors import ConfigError, Problem
from rover_spark.face.receivers.advice import advising
from rover_spark.face.results import LoadResult

if TYPE_CHECKING:
    from rover_spark.config.settings import Settings
    from rover_spark.consume.load.port import Counts
    from rover_spark.consume.load.run import Notice


def load(
    url: str | None = None,
    *,
    into: str | Path,
    engine: str = "duckdb",
    settings: Settings | None = None,
    manifests: str | None = None,
    look_back: timedelta = LOOK_BACK,
    strict: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> LoadResult:
    """Loads what is new at ``url``, or where ``settings`` deliver to, into the DuckDB file ``into``.

    ``manifests`` is the URL of completion manifests that are neither below ``url`` nor beside it, else that of ``settings``. ``look_back`` is how far
    before the last loaded hour of a dataset files are looked for. With ``strict`` the result is not ``ok`` where anything went
    into the quarantine.

    Raises:
        ConfigError: no such engine or place, a package is missing, a file that is no DuckDB file.
        RunError: the file cannot be written. StoreError: the place cannot be listed or read.
    """
    if engine != "duckdb":
        raise ConfigError(
            f"--engine {engine}: this version loads with duckdb only",
            code="engine_unknown",
            remedy="Leave the option out. For other warehouses rover-spark ddl prints statements that load.",
        )
    access = settings.access if settings is not None else None
    if url is None and settings is None:
        raise ConfigError(
            "neither a URL nor a configuration is named",
            code="place_unknown",
            remedy="Name the place of the export: rover-spark load s3://bucket/prefix --into FILE.",
        )
    place = open_place(url if url is not None else settings.destination if settings else "", access)
    other = _manifests(manifests, settings)
    now = now or datetime.now(timezone.utc)  # noqa: TID251 - the one clock: above what is loaded
    with advising("load"):
        found = _loaded(place, Path(into), other, look_back, now, progress or LoggedProgress())
    ok = not found.unread and not (strict and found.quarantined)
    return LoadResult(
        result="failed" if not ok else "done" if found.datasets else "nothing to do",
        ok=ok,
        problems=tuple(_problems(found, str(into))),
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


def _manifests(url: str | None, settings: Settings | None) -> Place | None:
    """Where manifests have a place of their own: as it is named, else as the configuration says, if it is there already."""
    access = settings.access if settings is not None else None
    if url is not None:
        return open_place(url, access)
    if settings is not None and settings.manifests.place is not None:
        with suppress(ConfigError):
            return open_place(settings.manifests.place, access)
    return None


def _loaded(
    place: Place, into: Path, manifests: Place | None, look_back: timedelta, now: datetime, progress: Progress
) -> Loaded:
    try:
        import duckdb  # noqa: F401 - what it is missed by

        from rover_spark.consume.load.duckdb.warehouse import opened
        from rover_spark.consume.load.run import load as run
    except ImportError as error:
        raise ConfigError(
            f"the Python package {error.name} is not installed",
            code="no_sdk",
            remedy="Install rover_spark[duckdb].",
        ) from None

    @contextmanager
    def watching(objects: int) -> Iterator[Notice]:
        done = [Done()]

        def notice(counts: Counts, size: int) -> None:
            before = done[-1]
            count = before.rows + counts.objects + len(counts.gone) + len(counts.unread)
            done[0] = Done(count, count, before.bytes + size)

        with progress.watch("loading", objects, lambda: done[0], "objects"):
            yield notice

    with opened(into, lambda: now) as warehouse:
        return run(place, warehouse, now=now, manifests=manifests, look_back=look_back, watching=watching)


def _problems(found: Loaded, into: str) -> Iterator[Problem]:
    if found.quarantined:
        bad, damaged = (
            sum(getattr(each, name) for each in found.datasets) for name in ("bad_lines", "damaged")
        )
        parts = [(bad, "line"), (damaged, "object"), (found.manifests_refused, "manifest")]
        named = ", ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in parts if count)
        yield Problem(
            "load_quarantined",
            f"in the quarantine: {named}; all else is loaded",
            f"Ask {into}: FROM rover_load.quarantine says which and why.",
        )
    for each in found.unread:
        yield Problem("object_unreadable", f"{each.key} cannot be read: {each.reason}", "Run load again.")
