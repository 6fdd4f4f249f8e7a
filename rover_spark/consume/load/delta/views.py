"""The views over the raw tables: those of a schema are the catalog's, those of a path are temporary views of the session.

Spark has no recursive views before 4.1, so merges are followed by joins, up to 16 steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyspark.sql import SparkSession
from sqlglot import exp

from rover_spark.consume.ddl.engines.port import Names, current, raw, records
from rover_spark.consume.ddl.sql import quoted
from rover_spark.consume.load.delta.books import MANIFESTS, OBJECTS, QUARANTINE
from rover_spark.consume.load.delta.place import DIALECT, Into
from rover_spark.consume.load.tables import of_events, of_rover, records_of, rover_views
from rover_spark.contract.rover import DATASETS
from rover_spark.errors import ConfigError

_MERGES = current(of_rover("fan_profile_merges"))


def make(spark: SparkSession, into: Into) -> tuple[str, ...]:
    """Makes the views of a schema anew; their names."""
    found = _views(_raw_tables(spark, into), into.names)
    return tuple(_made(spark, each, "VIEW", into.names) for each in found)


def open_path(spark: SparkSession, into: Into) -> tuple[str, ...]:
    """Makes the tables of a path, and the views over them, temporary views of the session; their names.

    Raises:
        ConfigError: nothing was loaded there.
    """
    if not into.has(spark, OBJECTS):
        raise ConfigError(
            f"{into}: nothing was loaded there",
            code="into_invalid",
            remedy="Name the path that was loaded into: rover-spark load URL --into PATH.",
        )
    here = Names(())
    known = _raw_tables(spark, into)
    views = list(_views(known, here))
    tables = [OBJECTS, MANIFESTS, QUARANTINE, *(name for _, _, name in known)]
    for each in tables:
        into.frame(spark, each).createOrReplaceTempView(quoted(each, DIALECT))
    if any(name == _MERGES for name, _ in views) and spark.catalog.tableExists(_MERGES):
        spark.catalog.uncacheTable(_MERGES)
    names = [_made(spark, each, "TEMPORARY VIEW", here) for each in views]
    if _MERGES in names:
        spark.catalog.cacheTable(_MERGES)  # each of the others would repeat its joins
    return (*tables, *names)


def _views(known: Sequence[tuple[str, str, str]], names: Names) -> Iterator[tuple[str, exp.Select]]:
    """The views by name, of a contract's tables where there are any; each after those that it reads."""
    if any(contract == "rover" for contract, _, _ in known):
        yield from rover_views(names, recursive=False)
    for contract, event_type, name in known:
        if contract == "currents":
            table = of_events(event_type, name.removesuffix("_raw"))
            yield records(table), records_of(table, names)


def _raw_tables(spark: SparkSession, into: Into) -> list[tuple[str, str, str]]:
    """Contract, dataset or event type, and name of each raw table; those of the Rover contract are all there, or none."""
    found = into.frame(spark, OBJECTS).select("contract", "dataset", "name").distinct().collect()
    events = sorted(tuple(row) for row in found if row["contract"] == "currents")
    if len(events) == len(found):
        return events
    return [*(("rover", each, raw(of_rover(each))) for each in DATASETS), *events]


def _made(spark: SparkSession, view: tuple[str, exp.Select], kind: str, names: Names) -> str:
    name, found = view
    spark.sql(f"CREATE OR REPLACE {kind} {names.text(name, DIALECT)} AS {found.sql(DIALECT)}")
    return name
