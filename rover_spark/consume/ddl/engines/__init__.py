"""The warehouses that statements are made for, a module each."""

from __future__ import annotations

from rover_spark.consume.ddl.engines import (
    athena,
    bigquery,
    clickhouse,
    databricks,
    duckdb,
    postgres,
    redshift,
    snowflake,
)
from rover_spark.consume.ddl.engines.port import Engine

ENGINES: dict[str, Engine] = {
    each.ENGINE.name: each.ENGINE
    for each in (bigquery, snowflake, redshift, athena, clickhouse, duckdb, databricks, postgres)
}
