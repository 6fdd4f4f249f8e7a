"""The loader as a streaming query: Spark's checkpoint remembers which objects were seen, this only loads them.

Spark lists the whole place for each batch, unless the given source knows better (Auto Loader with notifications does).
An object that cannot be read fails its batch, which the next start of the query tries again. What the bookkeeping says is
loaded is not loaded again, so a query and runs of ``load`` may take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import urlsplit

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from rover_spark.consume.keys import EventFile, RoverFile, classified
from rover_spark.consume.load.delta.place import Into
from rover_spark.consume.load.delta.warehouse import DeltaTables
from rover_spark.consume.load.run import load_files
from rover_spark.consume.place import Place
from rover_spark.errors import RunError

_BINARY_FILE = "path string, modificationTime timestamp, length bigint, content binary"


def objects_of(spark: SparkSession, url: str, objects_a_batch: int) -> DataFrame:
    """The objects of a place as a stream, by Spark's own source of files: ``path`` and ``length``."""
    source = spark.readStream.format("binaryFile").schema(_BINARY_FILE).option("recursiveFileLookup", "true")
    source = source.option("pathGlobFilter", "*.{ndjson.gz,avro}")
    return source.option("maxFilesPerTrigger", objects_a_batch).load(url).select("path", "length")


def stream(
    objects: DataFrame,
    place: Place,
    into: Into,
    checkpoint: str,
    now: Callable[[], datetime],
    interval: str | None = None,
) -> StreamingQuery:
    """Starts a query that loads the objects. It ends when all that is there is loaded; with ``interval`` it stays."""

    def load(found: DataFrame, _: int) -> None:
        files = list(_files(found, place))
        loaded = load_files(place, DeltaTables(found.sparkSession, into, now), files, now=now())
        for each in loaded.unread:
            raise RunError(
                f"{each.key} cannot be read: {each.reason}; {len(loaded.unread)} objects of this batch are not loaded",
                code="object_unreadable",
                remedy="Look at the rights and at the network, and start the query again.",
            )

    writer = objects.writeStream.foreachBatch(load).option("checkpointLocation", checkpoint)
    writer = writer.trigger(processingTime=interval) if interval else writer.trigger(availableNow=True)
    return writer.start()


def _files(found: DataFrame, place: Place) -> Iterator[RoverFile | EventFile]:
    local = place.on_disk
    root = urlsplit(place.destination).path.strip("/") if local else ""
    for path, size in found.select("path", "length").toLocalIterator():
        key = path.partition(":")[2].lstrip("/") if local else path.split("/", 3)[3]
        file = classified(key.removeprefix(f"{root}/") if local else key, size, place.prefix)
        if isinstance(file, (RoverFile, EventFile)):
            yield file
