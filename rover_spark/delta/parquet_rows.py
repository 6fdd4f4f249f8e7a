"""Rows of one data file of a table, read without Spark: its Parquet pages stream through, in the order of the file.

Promises the values that Spark reads: a column that the file lacks is null, a partition's value comes from the log, instants
are microseconds of UTC. Refuses (ReaderRefused) what Spark alone knows how to read, and what cannot be read at all: then
Spark says why. Memory is that of a few pages and one batch, however large the file's row groups are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from rover_spark.delta.file_types import holds_times, misfit
from rover_spark.delta.native_errors import NativeFailed, native_errors
from rover_spark.delta.storage import NotNative, Reached
from rover_spark.errors import ReaderRefused

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_SPARK, _LEGACY = (
    b"org.apache.spark.version",
    (b"org.apache.spark.legacyDateTime", b"org.apache.spark.legacyINT96"),
)
_PROLEPTIC = (3, 1)  # Spark from this version on says in the file where times are of another calendar
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ELSEWHERE = re.compile(r"/|[A-Za-z][\w+.-]*:")
_LOCAL_BUFFER, _REMOTE_BUFFER = 1 << 20, 4 << 20  # octets of each column that are read at once
_MOST_ROWS, _ENOUGH, _MOST = (
    16_384,
    12 << 20,
    64 << 20,
)  # rows of a batch, its octets on the average, and at the most
_FIRST_ROWS = 64
_PARTITIONS = {pa.string(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_(), pa.date32()}


@dataclass(frozen=True)
class Wanted:
    """The columns to read, by name with their types; those of ``partitions`` are in no file."""

    columns: tuple[tuple[str, pa.DataType], ...]
    partitions: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, dtype in self.columns:
            if name in self.partitions and dtype not in _PARTITIONS:
                raise NotNative(f"column {name} is a partition, of type {dtype}")


def batches(
    place: Reached, path: str, size: int, wanted: Wanted, partition: Mapping[str, str | None]
) -> Iterator[pa.RecordBatch]:
    """The rows of a data file, whose path and size are the log's; the wanted columns, in their order.

    Raises:
        ReaderRefused: only Spark can read the file, or nobody can.
    """
    if _ELSEWHERE.match(path):
        raise _refused(path, "it lies outside of the table's directory")
    try:
        with native_errors(place):
            yield from _batches(place, path, size, wanted, partition)
    except NativeFailed as error:
        raise _refused(path, str(error)) from None


def _refused(path: str, why: str) -> ReaderRefused:
    return ReaderRefused(f"{path}: {why}")


def _batches(
    place: Reached, path: str, size: int, wanted: Wanted, partition: Mapping[str, str | None]
) -> Iterator[pa.RecordBatch]:
    file = _opened(place, unquote(path), size)
    found = file.schema_arrow.names
    in_file = [(name, dtype) for name, dtype in wanted.columns if name not in wanted.partitions]
    there = [(name, dtype) for name, dtype in in_file if name in found]
    for name, _ in in_file:
        if sum(other.casefold() == name.casefold() for other in found) > (name in found):
            raise _refused(path, f"it has a column that differs from {name} by its case only")
    why = next((why for name, dtype in there if (why := misfit(file.schema, name, dtype))), None)
    if why is None and any(holds_times(dtype) for _, dtype in there):
        why = _other_calendar(file)
    if why is not None:
        raise _refused(path, why)
    given = {
        name: _partition_value(partition.get(name), dtype)
        for name, dtype in wanted.columns
        if name in wanted.partitions
    }
    if not there:
        raise _refused(path, "it has none of the columns")
    for rows in _rows(file, [name for name, _ in there]):
        columns = [
            as_wanted(rows.column(name), dtype)
            if (name, dtype) in there
            else pa.repeat(given[name], len(rows))
            if name in given
            else pa.nulls(len(rows), dtype)
            for name, dtype in wanted.columns
        ]
        names = [name for name, _ in wanted.columns]
        yield from small(pa.RecordBatch.from_arrays(columns, names=names))


def _opened(place: Reached, path: str, size: int) -> ParquetFile:
    from pyarrow.parquet import ParquetFile

    local = place.is_local
    return ParquetFile(
        f"{place.url}/{path}" if local else pa.PythonFile(_Ranges(place.objects(), path, size), mode="r"),
        pre_buffer=False,
        buffer_size=_LOCAL_BUFFER if local else _REMOTE_BUFFER,
        coerce_int96_timestamp_unit="us",
    )


def _other_calendar(file: ParquetFile) -> str | None:
    """Why the file's days and instants may be of the Julian calendar, or None."""
    said = file.metadata.metadata or {}
    if any(name in said for name in _LEGACY):
        return "its times are of the calendar that Spark had before 3.0"
    version = said.get(_SPARK)
    if version is not None:
        numbers = re.findall(r"\d+", version.decode(errors="replace"))[:2]
        if tuple(int(number) for number in numbers) < _PROLEPTIC:
            return f"Spark {version.decode(errors='replace')} wrote its times, perhaps of another calendar"
        return None
    if (file.metadata.created_by or "").startswith("parquet-mr"):
        return "its writer does not say of which calendar its times are"
    return None


def _rows(file: ParquetFile, names: list[str]) -> Iterator[pa.RecordBatch]:
    rows = file.metadata.num_rows
    octets = sum(file.metadata.row_group(n).total_byte_size for n in range(file.metadata.num_row_groups))
    octets += rows * _decoded(file, names)
    several = max(1, min(_MOST_ROWS, _ENOUGH * rows // max(octets, 1)))
    yield from file.iter_batches(batch_size=several, columns=names, use_threads=False)


def _decoded(file: ParquetFile, names: list[str]) -> int:
    """Octets of a row once decoded, by the first rows: a page may name long texts by their number in a dictionary."""
    first = next(file.iter_batches(batch_size=_FIRST_ROWS, columns=names, use_threads=False), None)
    return 0 if first is None or not len(first) else int(first.nbytes) // len(first)


def small(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows in batches of bounded size: some may be far larger than the average."""
    if len(rows) < 2 or rows.nbytes <= _MOST:
        yield rows
        return
    half = len(rows) // 2
    yield from small(rows.slice(0, half))
    yield from small(rows.slice(half))


def as_wanted(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """The column in exactly the type: files may name parts of a type otherwise, or count instants in milliseconds."""
    return column if column.type.equals(dtype) else column.cast(dtype)


def _partition_value(text: str | None, dtype: pa.DataType) -> pa.Scalar:
    """The value that the log's text stands for; an empty text is no value. Raises ReaderRefused for any other spelling."""
    if not text:
        return pa.scalar(None, dtype)
    if dtype == pa.string():
        return pa.scalar(text, dtype)
    try:
        if dtype == pa.bool_():
            return pa.scalar({"true": True, "false": False}[text], dtype)
        if dtype == pa.date32():
            return pa.scalar(date.fromisoformat(_DAY.fullmatch(text)[0]), dtype)  # type: ignore[index]
        return pa.scalar(int(text), dtype)
    except (KeyError, ValueError, TypeError, pa.ArrowException):
        raise _refused(text, f"a partition's value that is no {dtype}") from None


class _Ranges:
    """An object of a bucket as a file that is read in ranges: what Parquet's reader asks for, one request each."""

    def __init__(self, objects: Any, path: str, size: int) -> None:
        self._objects, self._path, self._size = objects, path, size
        self._place = 0
        self.closed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def read(self, octets: int = -1) -> bytes:
        rest = self._size - self._place
        length = rest if octets < 0 else min(octets, rest)
        if length <= 0:
            return b""
        import obstore

        found = obstore.get_range(self._objects, self._path, start=self._place, length=length)
        self._place += length
        return bytes(found)

    def close(self) -> None:
        self.closed = True
