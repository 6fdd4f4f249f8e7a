"""Tables whose data files are large enough to be chunks, and the exports that deliver them by each way."""

from __future__ import annotations

import copy
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rover_spark.face.results import Result
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.produce.rover.plan import BatchPlan
from tests import receiver
from tests.e2e.world import FEED, World, uuid

# what Spark makes of rows by itself, layout hash shows, too; with the native reader tables of its own are read by the other
_FULL = pytest.mark.full
EACH_READER = pytest.mark.parametrize("reader", [pytest.param("spark", marks=_FULL), "arrow", "native"])
ONE_READER = pytest.mark.parametrize(
    "reader", [*(pytest.param(each, marks=_FULL) for each in ("spark", "arrow")), "native"]
)
ODD = ("a b", "a/b=c%", "é+&", None)
FANS = pa.schema(
    [
        ("who", "string"),
        ("n", "int64"),
        ("town", "string"),
        ("mail", "string"),
        ("at", pa.timestamp("us", "UTC")),
    ]
)
PROFILES = {"roverID": "who", "traits": "named_struct('n', n, 'town', town)", "updatedAt": "at"}
EVENTS = {
    "eventID": "n",
    "roverID": "who",
    "name": "town",
    "attributes": "map('mail', mail)",
    "timestamp": "at",
}


def fans(first: int, last: int, **other: Any) -> pa.Table:
    """Rows first..last - 1, one a fan, in no order; ``other`` are columns whose every value is this one."""
    numbers = list(range(first, last))
    random.Random(first).shuffle(numbers)
    rows = [
        {
            "who": uuid(n),
            "n": n,
            "town": f"Öslo {n % 5}",
            "mail": f"{n}@x" if n % 3 else None,
            "at": n * 10**6,
            **other,
        }
        for n in numbers
    ]
    return pa.Table.from_pylist(rows, FANS)


def write(table: str, *parts: pa.Table, **options: Any) -> None:
    """Appends each of the parts by a commit of its own: a data file, where the table has no partitions."""
    from deltalake import write_deltalake

    for part in parts:
        write_deltalake(
            table,
            part.combine_chunks(),
            mode="append",
            configuration={"delta.enableChangeDataFeed": "true"},
            **options,
        )


class Filed(World):
    """Tables, and worlds that deliver them at the same instant into a bucket each."""

    def by(self, layout: str, reader: str = "spark", **files: Any) -> World:
        """The export that takes this layout, with files of 20 records."""
        world = World(self.spark, self.root / "-".join((layout, reader, *map(str, files.values()))))
        world.datasets = copy.deepcopy(self.datasets)
        auto = {
            "layout": "hash" if layout == "hash" else "auto",
            "reader": reader if reader in {"arrow", "spark"} else "auto",
        }
        world.options["files"] = {"target_records": 20, **auto, **files}
        return world


def plans(result: Result) -> dict[str, BatchPlan]:
    """The plans of a result's batches, by dataset."""
    found = [batch.plan for batch in result.batches]
    return {plan.dataset: plan for plan in found if isinstance(plan, BatchPlan)}


def ways(result: Result) -> set[tuple[str, str]]:
    """Layout and reader of each batch."""
    return {(plan.files.layout, plan.files.reader) for plan in plans(result).values()}


def told(world: World) -> dict[str, list[str]]:
    """Every line of every dataset, sorted."""
    return {dataset: sorted(receiver.lines(world.bucket, dataset)) for dataset in world.datasets}


def in_order(world: World, batch: BatchRecord, column: str) -> list[list[Any]]:
    """A field of the records of each chunk, in their order."""
    chunks: dict[int, list[Any]] = {}
    for file in sorted(batch.files, key=lambda each: (each.chunk, each.part)):
        lines = gzip.decompress((world.bucket / file.key).read_bytes()).splitlines()
        chunks.setdefault(file.chunk, []).extend(json.loads(line)[column] for line in lines)
    return [chunks[chunk] for chunk in sorted(chunks)]


def in_files(table: str, column: str) -> list[list[Any]]:
    """A column of each data file of a table that nothing was removed from, in the order of the files' paths."""
    return [pq.read_table(path).column(column).to_pylist() for path in sorted(Path(table).glob("*.parquet"))]


def a_table_of_every_feature(filed: Filed) -> None:
    """Partitions with odd values, mapped columns, deletion vectors, a later column."""
    features = "delta.enableDeletionVectors = true, delta.columnMapping.mode = 'name'"
    columns = "who STRING, n SMALLINT, day STRING, at TIMESTAMP"
    filed.sql(
        f"CREATE TABLE {{t}} ({columns}) USING delta PARTITIONED BY (day) {FEED[:-1]}, {features})", t="every"
    )
    days = "element_at(array('a b', 'a/b=c%', 'é+&', NULL), cast(1 + id % 4 AS INT))"

    def insert(of: str, more: str = "") -> None:
        who = f"concat(lpad(hex(id), 8, '0'), '{uuid(0)[8:]}')"
        row = f"{who}, cast(id AS SMALLINT), {days}, timestamp_seconds(id){more}"
        filed.sql(f"INSERT INTO {{t}} SELECT /*+ COALESCE(1) */ {row} FROM range({of})", t="every")

    insert("60")
    filed.sql("DELETE FROM {t} WHERE n % 7 = 3", t="every")
    filed.sql("ALTER TABLE {t} ADD COLUMN more STRING", t="every")
    insert("100, 140", ", concat('m', id)")
    traits = "named_struct('n', n, 'day', day, 'more', more)"
    filed.datasets["fan_profiles"] = {
        "table": filed.table("every"),
        "columns": {"roverID": "who", "traits": traits, "updatedAt": "at"},
    }


def a_shallow_clone(filed: Filed) -> None:
    """Of some of its files the log has whole addresses, and they have a narrower column."""
    narrow = FANS.set(1, pa.field("n", "int16"))  # Delta 3.3 widens no int
    write(filed.table("original"), fans(0, 20).cast(narrow), fans(20, 40).cast(narrow))
    filed.sql("CREATE TABLE {c} SHALLOW CLONE {t}", c="clone", t="original")
    filed.sql("ALTER TABLE {c} SET TBLPROPERTIES (delta.enableTypeWidening = true)", c="clone")
    filed.sql("ALTER TABLE {c} ALTER COLUMN n TYPE INT", c="clone")
    filed.sql(
        "INSERT INTO {c} SELECT /*+ COALESCE(1) */ who, n + 100, town, mail, at FROM {t} WHERE n < 15",
        c="clone",
        t="original",
    )
    columns = {
        "roverID": "who",
        "identifierType": "'n'",
        "identifier": "cast(n AS string)",
        "updatedAt": "at",
    }
    filed.datasets["fan_identity_graph"] = {"table": filed.table("clone"), "columns": columns}


def a_table_of_an_older_schema(filed: Filed) -> None:
    """Written by deltalake, whose folders are spelled otherwise, with a column that its first files do not have."""
    for n, odd in enumerate(ODD):
        part = fans(20 * n, 20 * n + 20, town=odd)
        write(
            filed.table("older"),
            part.drop_columns("mail") if n < 2 else part,
            partition_by=["town"],
            schema_mode="merge",
        )
    columns = {"roverID": "who", "mergedRoverID": "who", "occurredAt": "at"}
    extra = {"town": "town", "mail": "mail"}
    filed.datasets["fan_profile_merges"] = {"table": filed.table("older"), "columns": columns, "extra": extra}


def appended_events(filed: Filed) -> None:
    """Of which some were moved by OPTIMIZE: that added nothing."""
    from deltalake import DeltaTable

    write(filed.table("events"), fans(0, 20), fans(20, 40))
    DeltaTable(filed.table("events")).optimize.compact()
    write(filed.table("events"), fans(40, 60))
    filed.datasets["fan_track_events"] = {
        "table": filed.table("events"),
        "columns": EVENTS,
        "start": "earliest",
    }
