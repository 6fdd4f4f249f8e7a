"""A change data feed that keeps maps as the files hold them.

Delta's feed converts each row to an object and back. A map that has a key twice, as other writers leave it, loses one of
its values on the way, and no check could notice. So where a table has maps, this module takes the frame inside Delta's feed,
before the conversion. Where that frame is out of reach (shared sessions, other versions of Delta) the feed is read as it is:
of such a key the last value remains.
"""

from __future__ import annotations

import re
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from rover_spark.delta.names import backticked

_READER = "org.apache.spark.sql.delta.commands.cdc.CDCReader$"
_BUILD = "changesToBatchDF"
_ELSEWHERE = re.compile(
    r"ClassNotFoundException|NoSuchFieldException|NoSuchMethod|NoClassDefFoundError|Py4JSecurity"
)


def as_written(feed: DataFrame) -> DataFrame:
    """The feed of a range of versions, with its maps as they were written; ``feed`` itself where it holds none."""
    if not any(_holds_maps(field.dataType) for field in feed.schema.fields):
        return feed
    try:
        return _inner(feed).select(*(backticked(name) for name in feed.columns))
    except Py4JError as error:
        if isinstance(error, Py4JJavaError) and not _ELSEWHERE.search(str(error.java_exception)):
            raise  # Delta could not read the table: ``causes`` decides whether that passes
        return feed
    except (AttributeError, TypeError, StopIteration):
        return feed


def _holds_maps(dtype: DataType) -> bool:
    if isinstance(dtype, StructType):
        return any(_holds_maps(field.dataType) for field in dtype.fields)
    if isinstance(dtype, ArrayType):
        return _holds_maps(dtype.elementType)
    return isinstance(dtype, MapType)


def _inner(feed: DataFrame) -> DataFrame:
    """The frame that the feed's relation reads, with the same versions and schema."""
    outer: Any = feed._jdf
    session: Any = feed.sparkSession
    scala: Any = session._jvm.scala
    relation = outer.queryExecution().analyzed().collectLeaves().head().relation()
    kind = relation.getClass().getClassLoader().loadClass(_READER)
    method = next(each for each in kind.getMethods() if each.getName() == _BUILD)
    reader = kind.getField("MODULE$").get(None)
    given = [relation.deltaLog(), relation.startingVersion().get(), relation.endingVersion().get()]
    given.append(outer.sparkSession())
    for parameter in list(method.getGenericParameterTypes())[len(given) :]:
        asked = parameter.toString()
        if asked == "boolean":
            given.append(False)
        elif asked.endswith("CatalogTable>"):
            given.append(relation.catalogTableOpt())
        elif asked.endswith(".Snapshot>"):
            given.append(scala.Some(relation.snapshotForBatchSchema()))
        else:
            given.append(scala.Option.empty())
    return DataFrame(getattr(reader, _BUILD)(*given), session)
