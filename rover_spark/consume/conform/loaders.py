"""The loaders that a bucket is held against, and what each of them does not take: one table. Pure.

Sources: the public documentation and issues of BigQuery, Snowflake, Redshift, Athena, ClickHouse, DuckDB and PostgreSQL, as of
November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass

MB = 1 << 20
_EXACT = (-(2**53) + 1, 2**53 - 1)  # integers that a double holds, and each between them
_BIGINT = (-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class Loader:
    """What a loader does not take. Sizes in bytes: of an object as it is stored, of a line; None where it has no limit.

    ``integers`` are the least and the greatest that are read exactly. The others say whether it minds a key twice in one object,
    keys that differ by case alone, U+0000, half of a surrogate pair, a field named as a partition's folder.
    """

    object_bytes: int | None = None
    line_bytes: int | None = None
    integers: tuple[int, int] | None = None
    key_twice: bool = False
    case_clash: bool = False
    nul: bool = False
    surrogate: bool = False
    partition_column: bool = False


LOADERS = {
    "bigquery": Loader(
        object_bytes=4096 * MB,
        line_bytes=100 * MB,
        integers=_EXACT,
        key_twice=True,
        case_clash=True,
        surrogate=True,
        partition_column=True,
    ),
    "snowflake": Loader(line_bytes=128 * MB, key_twice=True),
    "redshift": Loader(line_bytes=4 * MB, key_twice=True, nul=True),
    "athena": Loader(line_bytes=32 * MB, key_twice=True, case_clash=True, partition_column=True),
    "clickhouse": Loader(integers=(-(2**63), 2**64 - 1), key_twice=True),
    "duckdb": Loader(line_bytes=16 * MB, integers=_BIGINT, key_twice=True, partition_column=True),
    "postgres": Loader(nul=True, surrogate=True),
}

LINTS = {
    "loader_object_large": "an object is larger than {} takes",
    "loader_line_large": "a line is longer than {} takes",
    "loader_integer": "an integer is beyond those that {} reads exactly",
    "loader_key_twice": "an object has a key twice, which {} refuses or reads as one of both",
    "loader_case_clash": "an object has keys that differ by case alone, which are one to {}",
    "loader_nul": "a text holds U+0000, which {} refuses",
    "loader_surrogate": "a text holds half of a surrogate pair, which {} refuses",
    "loader_partition_column": "a field has the name of a partition's folder, which is a column to {}",
}
