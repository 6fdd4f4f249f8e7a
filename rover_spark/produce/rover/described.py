"""What a dataset's fields are made of, for people: names, types, expressions. Never a value: a row holds personal data."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql.types import DataType, MapType, StringType, StructType, TimestampNTZType, TimestampType

from rover_spark.contract.rover import SPREAD, Dataset, Field
from rover_spark.produce.rover.plan import Source

_NAMES = 4
_LONGEST = 48


def described(fields: DataFrame, dataset: Dataset, source: Source) -> str:
    """``roverID: text from fan_id; traits: {first, last, town, tier, … 12} from struct(…``; of what ``mapped`` gave."""
    types = {field.name: field.dataType for field in fields.schema.fields}
    parts = []
    for field in dataset.fields:
        if source.identifiers and field.name in SPREAD:
            if field.name == "identifier":
                parts.append(f"identifiers: {', '.join(source.identifiers)}")
            continue
        dtype = types.get(f"f_{field.name}")
        parts.append(f"{field.name}: {_from(field, dtype, source) if dtype else 'left out'}")
    parts += [
        f"{name}: {types[f'x_{name}'].simpleString()} from {_cut(text)}"
        for name, text in source.extra.items()
    ]
    return "; ".join(parts)


def _from(field: Field, dtype: DataType, source: Source) -> str:
    text = source.columns[field.name]
    return f"{_kind(field, dtype)} from {_cut(text.strip('`'))}"


def _kind(field: Field, dtype: DataType) -> str:
    if isinstance(dtype, StructType):
        more = f", … {len(dtype.names)}" if len(dtype.names) > _NAMES else ""
        return f"{{{', '.join(dtype.names[:_NAMES])}{more}}}"
    if isinstance(dtype, MapType):
        return "map"
    if isinstance(dtype, StringType):
        return "JSON text" if field.kind == "json" else "text"
    if isinstance(dtype, TimestampType | TimestampNTZType):
        return "time" if isinstance(dtype, TimestampType) else "time read as UTC"
    return dtype.simpleString()


def _cut(text: str) -> str:
    """An expression in one line, cut behind a word."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rpartition(' ')[0] or line[:_LONGEST]} …"
