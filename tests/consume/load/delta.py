"""The engine that is Spark, behind the seam of the tests."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rover_spark.consume.load.report import Loaded
from rover_spark.consume.load.run import load
from rover_spark.consume.place import open_place
from tests.consume.load.loading import NOW, Row

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BOOKS = re.compile(r"rover_load\.(\w+)")


class Delta:
    """Loads into Delta tables below a path, by the session that there is."""

    name = "delta"

    def __init__(self) -> None:
        self._open: object = (
            None  # the tables whose views the session has, and the commits that they had then
        )

    def loaded(self, place: Path, into: Path, now: datetime = NOW, **options: Any) -> Loaded:
        from rover_spark.consume.load.delta.warehouse import DeltaTables

        warehouse = DeltaTables(session(), _into(into), lambda: now)
        if group := options.pop("group", None):
            warehouse.group_objects = group
        return load(open_place(str(place)), warehouse, now=now, **options)

    def event_types(self, into: Path) -> dict[str, str]:
        found = self.ask(
            into, "SELECT DISTINCT dataset, name FROM rover_load.objects WHERE contract = 'currents'"
        )
        return {event_type: name.removesuffix("_raw") for event_type, name in found}

    def ask(self, into: Path, query: str) -> list[Row]:
        from rover_spark.consume.load.delta.views import open_path

        state = (session(), into, len(list(into.glob("*/_delta_log/*.json"))))
        if state != self._open:
            open_path(session(), _into(into))
            self._open = state
        text = _BOOKS.sub(r"rover_load_\1", query).replace('"', "`")
        return [tuple(map(_naive, row)) for row in session().sql(text).collect()]

    def tables(self, into: Path) -> dict[str, set[str]]:
        found = {}
        for path in sorted(into.glob("*_raw")):
            frame = session().read.format("delta").load(str(path))
            names = sorted(f"`{each}`" for each in frame.columns if each != "object_key")
            found[path.name] = {str(tuple(map(_naive, row))) for row in frame.select(names).collect()}
        return found


DELTA = Delta()


def session() -> SparkSession:
    """The session of the tests, or a new one in a process that has none."""
    from rover_spark import build_session
    from rover_spark.demo import SESSION

    return build_session(conf={**SESSION, "spark.master": "local[2]", "spark.ui.enabled": "false"})


def _into(path: Path) -> Any:
    from rover_spark.consume.load.delta.place import Into

    return Into.of(str(path))


def _naive(value: Any) -> Any:
    """Instants as UTC without a zone."""
    if not isinstance(value, datetime):
        return value
    return value.astimezone(timezone.utc).replace(tzinfo=None)
