"""One data file of a table, read without Spark: the values that Spark reads, and which files are left to Spark."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rover_spark.delta import parquet_rows
from rover_spark.delta.parquet_rows import Wanted, batches
from rover_spark.delta.storage import NotNative, Reached
from rover_spark.errors import ReaderRefused

UTC = pa.timestamp("us", tz="UTC")
NOON = datetime(1500, 6, 1, 12, tzinfo=timezone.utc)
TEXTS = pa.map_(pa.string(), pa.string())


def written(home: Path, table: pa.Table, name: str = "part-0.parquet", **options: Any) -> str:
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, home / name, **options)
    return name


def read(
    home: Path, name: str, columns: dict[str, pa.DataType], partition: dict[str, str | None] | None = None
) -> list[dict[str, Any]]:
    wanted = Wanted(tuple(columns.items()), frozenset(partition or ()))
    size = (home / name).stat().st_size if (home / name).exists() else 1
    found = batches(Reached(str(home)), name, size, wanted, partition or {})
    return [row for rows in found for row in rows.to_pylist()]


def test_wanted_columns_come_in_their_order_and_missing_ones_are_null(tmp_path: Path) -> None:
    name = written(tmp_path, pa.table({"b": [1, None], "a": ["x", "y"], "c": [True, False]}))
    wanted = {"a": pa.string(), "later": TEXTS, "b": pa.int64()}
    assert read(tmp_path, name, wanted) == [
        {"a": "x", "later": None, "b": 1},
        {"a": "y", "later": None, "b": None},
    ]


def test_instants_are_microseconds_whatever_the_file_counts(tmp_path: Path) -> None:
    table = pa.table({"at": pa.array([NOON, None], UTC)})
    for options in (
        {"use_deprecated_int96_timestamps": True},
        {"coerce_timestamps": "ms"},
        {"coerce_timestamps": "us"},
    ):
        name = written(tmp_path, table, **options)
        assert read(tmp_path, name, {"at": UTC}) == [{"at": NOON}, {"at": None}]


def test_a_partition_has_the_logs_value(tmp_path: Path) -> None:
    name = written(tmp_path, pa.table({"a": [1]}), "day=2026-01-31/part-0.parquet")
    wanted = {"day": pa.date32(), "a": pa.int64(), "n": pa.int16(), "is": pa.bool_(), "t": pa.string()}
    partition = {"day": "2026-01-31", "n": "-7", "is": "true", "t": "x y"}
    assert read(tmp_path, name, wanted, partition) == [
        {"day": date(2026, 1, 31), "a": 1, "n": -7, "is": True, "t": "x y"}
    ]
    empty = dict.fromkeys(partition, "") | {"n": None}
    assert set(read(tmp_path, name, wanted, empty)[0].values()) == {None, 1}


@pytest.mark.parametrize(
    ("dtype", "text"),
    [(pa.int16(), "70000"), (pa.int64(), "one"), (pa.date32(), "20260131"), (pa.bool_(), "yes")],
)
def test_a_partitions_value_that_is_spelled_otherwise_is_left_to_spark(
    tmp_path: Path, dtype: pa.DataType, text: str
) -> None:
    name = written(tmp_path, pa.table({"a": [1]}))
    with pytest.raises(ReaderRefused, match="partition's value"):
        read(tmp_path, name, {"a": pa.int64(), "p": dtype}, {"p": text})


def test_a_partition_of_instants_is_left_to_spark() -> None:
    with pytest.raises(NotNative, match="is a partition"):
        Wanted((("at", UTC),), frozenset({"at"}))


@pytest.mark.parametrize(
    ("stored", "wanted", "why"),
    [
        (pa.array([1], pa.int32()), pa.int64(), "is stored as"),
        (pa.array([1], pa.uint32()), pa.int32(), "is stored as"),
        (pa.array([1], pa.int64()), pa.int32(), "is stored as"),
        (pa.array([b"x"]), pa.string(), "is stored as"),
        (pa.array(["x"]), pa.binary(), "is stored as"),
        (pa.array([1.5]), pa.decimal128(3, 1), "is stored as"),
        (pa.array([Decimal("1.5")], pa.decimal128(5, 1)), pa.decimal128(6, 1), "is stored as"),
        (pa.array([1], pa.timestamp("us")), UTC, "is stored as"),
        (pa.array([1], pa.timestamp("ns", tz="UTC")), UTC, "is stored as"),
        (pa.array([1], UTC), pa.timestamp("us"), "is stored as"),
        (pa.array([["x"]]), pa.string(), "is stored as"),
        (pa.array([{"x": 1}]), pa.struct([("x", pa.int64()), ("y", pa.int64())]), "other fields"),
        (pa.array([{"X": 1}]), pa.struct([("x", pa.int64())]), "is stored as"),
        (pa.array([{"y": 1, "x": 1}]), pa.struct([("x", pa.int64()), ("y", pa.int64())]), "is stored as"),
    ],
)
def test_a_column_of_another_type_is_left_to_spark(
    tmp_path: Path, stored: pa.Array, wanted: pa.DataType, why: str
) -> None:
    name = written(tmp_path, pa.table({"a": stored}))
    with pytest.raises(ReaderRefused, match=why):
        read(tmp_path, name, {"a": wanted})


@pytest.mark.parametrize(
    ("metadata", "refused"),
    [
        ({"org.apache.spark.version": "4.1.1"}, False),
        ({"org.apache.spark.version": "3.5.7", "org.apache.spark.timeZone": "UTC"}, False),
        ({"org.apache.spark.version": "4.1.1", "org.apache.spark.legacyDateTime": ""}, True),
        ({"org.apache.spark.version": "4.1.1", "org.apache.spark.legacyINT96": ""}, True),
        ({"org.apache.spark.version": "2.4.8"}, True),
        ({"org.apache.spark.version": "3.0.3"}, True),
        ({}, False),
    ],
)
def test_times_of_another_calendar_are_left_to_spark(
    tmp_path: Path, metadata: dict[str, str], refused: bool
) -> None:
    table = pa.table({"at": pa.array([NOON], UTC), "text": ["x"]}).replace_schema_metadata(metadata)
    name = written(tmp_path, table)
    assert read(tmp_path, name, {"text": pa.string()}) == [{"text": "x"}]
    if not refused:
        assert read(tmp_path, name, {"at": UTC}) == [{"at": NOON}]
        return
    with pytest.raises(ReaderRefused, match="calendar"):
        read(tmp_path, name, {"at": UTC})


def test_what_cannot_be_read_is_left_to_spark(tmp_path: Path) -> None:
    with pytest.raises(ReaderRefused, match=r"gone\.parquet"):
        read(tmp_path, "gone.parquet", {"a": pa.int64()})
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(ReaderRefused, match=r"broken\.parquet"):
        read(tmp_path, "broken.parquet", {"a": pa.int64()})
    name = written(tmp_path, pa.table({"a": [1], "A": [2]}))
    with pytest.raises(ReaderRefused, match="case only"):
        read(tmp_path, name, {"a": pa.int64()})
    with pytest.raises(ReaderRefused, match="none of the columns"):
        read(tmp_path, name, {"other": pa.int64()})
    for path in ("/elsewhere/part-0.parquet", "s3://bucket/part-0.parquet", "file:/elsewhere"):
        with pytest.raises(ReaderRefused, match="outside"):
            read(tmp_path, path, {"a": pa.int64()})


def test_a_path_of_the_log_is_unescaped_once(tmp_path: Path) -> None:
    written(tmp_path, pa.table({"a": [1]}), "t=a%20b/part 0.parquet")
    wanted = Wanted((("a", pa.int64()),))
    size = (tmp_path / "t=a%20b/part 0.parquet").stat().st_size
    found = list(batches(Reached(str(tmp_path)), "t=a%2520b/part%200.parquet", size, wanted, {}))
    assert [len(rows) for rows in found] == [1]


def test_an_object_is_read_in_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table(
        {"a": [f"{n:0100}" for n in range(50_000)], "b": range(50_000), "unread": ["x" * 90] * 50_000}
    )
    name = written(tmp_path, table, compression="none", use_dictionary=False)
    monkeypatch.setattr(Reached, "is_local", property(lambda _: False))
    monkeypatch.setattr(Reached, "objects", lambda self: __import__("obstore").store.LocalStore(self.url))
    monkeypatch.setattr(parquet_rows, "_REMOTE_BUFFER", 1 << 16)
    asked = list[int]()
    ranges = parquet_rows._Ranges.read
    monkeypatch.setattr(
        parquet_rows._Ranges, "read", lambda self, octets=-1: (asked.append(octets), ranges(self, octets))[1]
    )
    found = read(tmp_path, name, {"b": pa.int64(), "a": pa.string()})
    assert found[49_999] == {"b": 49_999, "a": f"{49_999:0100}"}
    assert max(asked) < 1 << 20 and sum(asked) < 8 << 20, "the whole file was asked for"


def test_batches_are_small_however_large_rows_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["x" * 10_000 if n % 100 == 0 else "y" for n in range(20_000)]
    name = written(tmp_path, pa.table({"a": texts}), row_group_size=20_000)
    monkeypatch.setattr(parquet_rows, "_MOST", 100_000)
    wanted = Wanted((("a", pa.string()),))
    found = list(batches(Reached(str(tmp_path)), name, 1, wanted, {}))
    assert max(rows.nbytes for rows in found) <= 100_000
    assert [text for rows in found for text in rows.column("a").to_pylist()] == texts


def test_long_texts_that_repeat_come_in_batches_of_bounded_size(tmp_path: Path) -> None:
    """The file has a few thousand octets, the rows have 600 million."""
    name = written(tmp_path, pa.table({"a": ["x" * 60_000] * 10_000}))
    found = batches(Reached(str(tmp_path)), name, 1, Wanted((("a", pa.string()),)), {})
    sizes = [rows.nbytes for rows in found]
    assert max(sizes) <= 16 << 20 and sum(sizes) >= 600_000_000
