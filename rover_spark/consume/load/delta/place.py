"""Where the loaded tables stand: each in a folder below a path, or in a schema of the session's catalog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from delta.tables import DeltaTable, DeltaTableBuilder
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

from rover_spark.consume.ddl.engines.port import Names
from rover_spark.consume.ddl.sql import checked, quoted
from rover_spark.errors import ConfigError

DIALECT = "spark"


@dataclass(frozen=True)
class Into:
    """A path, or the parts of a schema's name; the other one is empty."""

    path: str
    schema: tuple[str, ...]

    @staticmethod
    def of(text: str) -> Into:
        """What ``--into`` names: a path has a ``/``, all else is SCHEMA or CATALOG.SCHEMA. A relative path is one of this directory.

        Raises:
            ConfigError: neither.
        """
        if "/" in text:
            return Into(text.rstrip("/") if "://" in text else str(Path(text).absolute()), ())
        parts = tuple(text.removeprefix("spark_catalog.").split("."))
        if len(parts) > 2:
            raise ConfigError(
                f"--into {text}: takes a path, SCHEMA or CATALOG.SCHEMA",
                code="into_invalid",
                remedy="Write a path with a slash, as ./loaded or s3a://bucket/loaded.",
            )
        return Into("", tuple(checked("--into", each) for each in parts))

    def __str__(self) -> str:
        return self.path or ".".join(self.schema)

    @property
    def names(self) -> Names:
        """How the views name one another."""
        return Names(self.schema)

    def sql(self, table: str) -> str:
        """A table as SQL has it."""
        if self.path:
            return f"delta.{quoted(self.at(table), DIALECT)}"
        return ".".join(quoted(each, DIALECT) for each in (*self.schema, table))

    def at(self, table: str) -> str:
        """The folder of a table."""
        return f"{self.path.rstrip('/')}/{table}"

    def prepare(self, spark: SparkSession) -> None:
        """Makes the schema where there is none."""
        if self.schema:
            name = ".".join(quoted(each, DIALECT) for each in self.schema)
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS {name}")

    def has(self, spark: SparkSession, table: str) -> bool:
        """Whether the table is there."""
        if self.path:
            return DeltaTable.isDeltaTable(spark, self.at(table))
        return spark.catalog.tableExists(self.sql(table))

    def builder(self, spark: SparkSession, table: str) -> DeltaTableBuilder:
        """What makes the table where there is none."""
        found = DeltaTable.createIfNotExists(spark)
        return found.location(self.at(table)) if self.path else found.tableName(self.sql(table))

    def delta(self, spark: SparkSession, table: str) -> DeltaTable:
        """The table, for what only Delta can do."""
        return (
            DeltaTable.forPath(spark, self.at(table))
            if self.path
            else DeltaTable.forName(spark, self.sql(table))
        )

    def frame(self, spark: SparkSession, table: str) -> DataFrame:
        """The rows of the table."""
        return spark.read.format("delta").load(self.at(table)) if self.path else spark.table(self.sql(table))

    def save(self, writer: DataFrameWriter, table: str) -> None:
        """Writes to the table."""
        writer = writer.format("delta")
        if self.path:
            writer.save(self.at(table))
        else:
            writer.saveAsTable(self.sql(table))
