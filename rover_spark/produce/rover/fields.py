"""Source rows → contract fields: one SQL expression a field, checked before any row is read.

``project`` gives one row per source row:

    key        32 hex: the row key's digest (of the whole row where a part of the key is broken)
    rover_id   lower-case UUID
    naturals   array of encoded natural key values, all but event time and operation
    inner      the own fields as JSON members; ``tail`` the additional ones
    own_us     the row's own event time, microseconds since 1970
    problem    why the row cannot be delivered, or null; ``key_problem`` true where that lies in its key
    mended     true where U+FFFD replaced octets that are no UTF-8, or half a surrogate pair
    twice      true where an object has a key or a name twice; a column of plans that deliver the last one of each only
    row_json   the contract's fields as JSON, for rows with a problem only
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    DataType,
    DoubleType,
    FloatType,
    MapType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from rover_spark.contract.rover import OVERHEAD, Dataset, Field
from rover_spark.delta.added_files import FILE
from rover_spark.delta.read import FEED_COLUMNS
from rover_spark.errors import ConfigError
from rover_spark.produce.columns.expressions import selected
from rover_spark.produce.columns.ids import ID_TYPES, digest32, encoded, id_text
from rover_spark.produce.columns.json_text import added_quotes
from rover_spark.produce.columns.maps import (
    JSON_OPTIONS,
    any_of,
    is_variant,
    key_twice,
    last_of_each,
    name_twice,
    readable,
)
from rover_spark.produce.columns.quarantine import row_json
from rover_spark.produce.columns.times import in_range
from rover_spark.produce.columns.values import (
    DUPLICATE_KEY,
    holds_replacement,
    json_object,
    json_text,
    mended,
    not_finite,
    some_twice,
    written,
)
from rover_spark.produce.rover.changes import TOO_LARGE
from rover_spark.produce.rover.plan import BatchPlan, Source, Text

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"  # not $: before a last line break, $ matches too
FEED = ("change", "commit", "commit_us")
CARRIED = (*FEED, FILE)  # beside the fields


def mapped(rows: DataFrame, dataset: Dataset, source: Source) -> DataFrame:
    """The contract's fields as ``f_<name>``, additional ones as ``x_<name>``, the feed's columns as FEED names them, and FILE.

    Raises:
        ConfigError: an expression that cannot be resolved, or whose type cannot serve.
    """
    there = {name.casefold() for name in rows.columns}
    left_out = {f.name for f in dataset.fields if not f.required and f.name.casefold() not in there}
    wanted = [(f"f_{name}", f"columns.{name}", name, text) for name, text in source.columns.items()]
    wanted = [each for each in wanted if each[2] not in left_out or each[3] != f"`{each[2]}`"]
    wanted += [(f"x_{name}", f"extra.{name}", name, text) for name, text in source.extra.items()]
    kept = []
    if FEED_COLUMNS[0] in rows.columns:  # Delta reserves these names in every table that keeps a feed
        kept = [F.col(FEED_COLUMNS[0]).alias("change"), F.col(FEED_COLUMNS[1]).alias("commit")]
        kept.append(F.unix_micros(FEED_COLUMNS[2]).alias("commit_us"))
    if FILE in rows.columns:
        kept.append(F.col(FILE))
    chosen = [(alias, setting, text) for alias, setting, _, text in wanted]
    frame = selected(rows, f"datasets.{dataset.name}", kept, chosen)
    _check_types(frame, dataset, source)
    _check_json(frame, dataset, source)
    return frame


def keyed(rows: DataFrame, plan: BatchPlan) -> DataFrame:
    """What ``mapped`` gives, with ``key`` and ``key_problem``, why the key is broken, or null."""
    dataset, source = plan.definition, plan.source
    frame = mapped(rows, dataset, source)
    types = values_of(frame)
    problem = F.coalesce(*_key_problems(dataset, source), F.lit(None))
    with_problem = frame.withColumn("key_problem", problem)
    return with_problem.withColumn("key", _row_key(dataset, types, row_json(types)))


def values_of(frame: DataFrame) -> dict[str, DataType]:
    """The types of the contract's fields, ``f_<name>``, and of the additional ones, ``x_<name>``."""
    types = {field.name: field.dataType for field in frame.schema.fields}
    return {name: dtype for name, dtype in types.items() if name not in (*CARRIED, "key", "key_problem")}


def project(rows: DataFrame, plan: BatchPlan) -> DataFrame:
    """One row per source row in the columns that the module's docstring lists. ``rows`` are already filtered."""
    return projected(keyed(rows, plan), plan)


def projected(frame: DataFrame, plan: BatchPlan) -> DataFrame:
    """The same of what ``keyed`` gave."""
    dataset, source = plan.definition, plan.source
    types = values_of(frame)
    last = plan.text.last
    inner, json_problems = _members(dataset.own, types, "f_", traits=True, last=last)
    extras = tuple(Field(name, "scalar", required=False) for name in source.extra)
    tail, tail_problems = _members(extras, types, "x_", traits=False, last=last)
    time = F.unix_micros(F.col(f"f_{dataset.event_time}").cast("timestamp"))
    # by name, here and for JSON text: the expressions again would be evaluated again
    texts = {
        _text(field.name): json_text(F.col(f"f_{field.name}"), types[f"f_{field.name}"], last=last)
        for field in dataset.own
        if field.kind == "json" and f"f_{field.name}" in types
    }
    repeats = _repeats(dataset, source, types) if last else {}
    row_problems = [
        F.when(time.isNull(), F.lit(f"{dataset.event_time}_missing")),
        F.when(time.isNotNull() & in_range(time).isNull(), F.lit(f"{dataset.event_time}_out_of_range")),
        *json_problems,
        *tail_problems,
        F.when(_size(plan.text, plan.files.max_record_bytes) > plan.files.max_record_bytes, F.lit(TOO_LARGE)),
    ]
    emitted = holds_replacement(F.col("inner")) | holds_replacement(F.col("tail"))
    return (
        frame.withColumns(texts)
        .withColumns(repeats)
        .withColumn("inner", inner)
        .withColumn("tail", tail)
        .withColumn("problem", F.coalesce("key_problem", *row_problems))
        .select(
            *(name for name in CARRIED if name in frame.columns),
            "key",
            _rover_id("roverID").alias("rover_id"),
            _naturals(dataset, source, types).alias("naturals"),
            "inner",
            "tail",
            time.alias("own_us"),
            "problem",
            F.col("key_problem").isNotNull().alias("key_problem"),
            mended(emitted, types).alias("mended"),
            *([any_of([F.col(name) for name in repeats]).alias("twice")] if last else []),
            F.when(F.col("problem").isNotNull(), row_json(types)).alias("row_json"),
        )
    )


def natural_parts(dataset: Dataset, source: Source) -> list[str]:
    """The natural key values that a source row alone decides."""
    return [name for name in source.natural_key if name not in {dataset.event_time, "operation"}]


def _text(name: str) -> str:
    return f"text_{name}"


def _repeats(dataset: Dataset, source: Source, types: dict[str, DataType]) -> dict[str, Column]:
    """By name, where an object or an additional field has a key or a name twice."""
    found: dict[str, Column | None] = {
        f"twice_{alias}": key_twice(F.col(alias), types[alias])
        for alias in (f"x_{name}" for name in source.extra)
    }
    for field in dataset.own:
        alias = f"f_{field.name}"
        if field.kind == "json" and alias in types:
            found[f"twice_{alias}"] = some_twice(F.col(_text(field.name)), F.col(alias), types[alias])
    return {name: each for name, each in found.items() if each is not None}


def _size(text: Text, limit: int) -> Column:
    """The octets of a record, the quotes included that its integers get; those of a name that goes still count."""
    size = F.octet_length("inner") + F.octet_length("tail") + OVERHEAD
    if text.big_integers == "keep":
        return size
    # an integer of 17 octets, its comma included, takes 2 more: smaller records than these do not get too large
    quotes = added_quotes(F.col("inner")) + added_quotes(F.col("tail"))
    return F.when(size.cast("bigint") * 19 > limit * 17, size + quotes).otherwise(size)


def _rover_id(name: str) -> Column:
    return F.lower(F.col(f"f_{name}"))


def _value(dataset: Dataset, name: str) -> str:
    return f"f_{name}" if any(field.name == name for field in dataset.fields) else f"x_{name}"


def _encoded_part(dataset: Dataset, types: dict[str, DataType], name: str) -> Column:
    column = _value(dataset, name)
    is_uuid = column.startswith("f_") and dataset.field(name).kind == "uuid"
    return encoded(_rover_id(name) if is_uuid else id_text(F.col(column), types[column]))


def _naturals(dataset: Dataset, source: Source, types: dict[str, DataType]) -> Column:
    parts = [_encoded_part(dataset, types, name) for name in natural_parts(dataset, source)]
    return F.array(*parts) if parts else F.array().cast("array<string>")


def _row_key(dataset: Dataset, types: dict[str, DataType], as_json: Column) -> Column:
    of_key = digest32([], [_encoded_part(dataset, types, name) for name in dataset.key])
    of_row = F.substring(F.sha2(F.concat(F.lit("!"), as_json), 256), 1, 32)
    return F.when(F.col("key_problem").isNull(), of_key).otherwise(of_row)


def _key_problems(dataset: Dataset, source: Source) -> list[Column]:
    problems = []
    for field in dataset.fields:
        column = F.col(f"f_{field.name}")
        in_key = field.name in (*dataset.key, *source.natural_key)
        if (in_key or (field.required and field.kind in {"text", "uuid"})) and field.kind != "time":
            problems.append(F.when(column.isNull(), F.lit(f"{field.name}_missing")))
        if field.kind == "uuid":
            problems.append(F.when(~F.lower(column).rlike(UUID), F.lit(f"{field.name}_malformed")))
    for name in source.extra:
        if name in source.natural_key:
            problems.append(F.when(F.col(f"x_{name}").isNull(), F.lit(f"{name}_missing")))
    return problems


def _members(
    fields: Sequence[Field], types: dict[str, DataType], prefix: str, *, traits: bool, last: bool
) -> tuple[Column, list[Column]]:
    """JSON members without braces, ``"a":1,"b":{…}``; null values are absent. And the problems found on the way.

    With ``last`` a key or a name that stands twice is no problem.
    """
    pieces: list[Column] = []
    problems: list[Column] = []
    for field in fields:
        alias = prefix + field.name
        if alias not in types:
            continue
        column, dtype = F.col(alias), types[alias]
        if field.kind == "json":
            written = F.col(_text(field.name))
            repeats = F.col(f"twice_{alias}") if last and isinstance(dtype, StringType) else None
            drop_nulls = traits and field.name == "traits"
            text, problem = json_object(written, column, dtype, drop_nulls=drop_nulls, twice=repeats)
            member = F.concat(F.lit(f'"{field.name}":'), text)
            pieces.append(F.coalesce(member, F.lit(f'"{field.name}":{{}}')) if field.required else member)
            problems.append(problem)
            continue
        value = F.lower(column) if field.kind == "uuid" else readable(column, dtype)
        if (twice := key_twice(column, dtype)) is not None and last:
            value = F.when(~twice, value).otherwise(readable(last_of_each(column, dtype), dtype))
        elif twice is not None:
            value = F.when(~twice, value)
            problems.append(F.when(twice, F.lit(DUPLICATE_KEY)))
        wrapped = F.to_json(F.struct(value.alias(field.name)), JSON_OPTIONS)
        pieces.append(F.nullif(wrapped.substr(F.lit(2), F.length(wrapped) - 2), F.lit("")))
        found = not_finite(column, dtype)
        problems += [] if found is None else [F.when(found, F.lit("number_not_finite"))]
    return F.concat_ws(",", *pieces) if pieces else F.lit(""), problems


def _check_types(frame: DataFrame, dataset: Dataset, source: Source) -> None:
    types = {field.name: field.dataType for field in frame.schema.fields}
    for field in dataset.fields:
        dtype = types.get(f"f_{field.name}")
        if dtype is None:
            continue
        text = source.columns[field.name]
        if field.kind in {"uuid", "text"}:
            fits, mend = isinstance(dtype, StringType), _exact(text, dtype)
        elif field.kind == "time":
            fits, mend = isinstance(dtype, TimestampType | TimestampNTZType), f"to_timestamp({text})"
        elif field.kind == "json":
            fits = isinstance(dtype, MapType | StructType | StringType) or is_variant(dtype)
            mend = f"named_struct('{field.name}', {text})"
        else:
            fits, mend = isinstance(dtype, ID_TYPES), _exact(text, dtype)
        if not fits:
            raise ConfigError(
                f"datasets.{dataset.name}.columns.{field.name}: {text} is {dtype.simpleString()}, "
                f"which cannot serve as {field.name}",
                code="column_type",
                remedy=f'Convert it in the configuration: columns = {{ {field.name} = "{mend}" }}',
            )
    for name in source.extra:
        if name in source.natural_key and not isinstance(types[f"x_{name}"], ID_TYPES):
            raise ConfigError(
                f"datasets.{dataset.name}.natural_key: {name} is {types[f'x_{name}'].simpleString()}, "
                "which has no exact text",
                code="column_type",
                remedy=f'Convert it in the configuration: extra = {{ {name} = "cast({source.extra[name]} as string)" }}',
            )


def _exact(text: str, dtype: DataType) -> str:
    """The cast to text; of a number with a point by way of an integer, or 12345678 would become 1.2345678E7."""
    whole = f"cast({text} as bigint)" if isinstance(dtype, DoubleType | FloatType) else text
    return f"cast({whole} as string)"


def _check_json(frame: DataFrame, dataset: Dataset, source: Source) -> None:
    """Raises ConfigError where a value's type has no JSON: by the very expressions that will write it."""
    types = {field.name: field.dataType for field in frame.schema.fields}
    texts = {field.name for field in dataset.fields if field.kind not in {"json", "scalar"}}
    wanted = [
        (f"f_{name}", f"columns.{name}", text) for name, text in source.columns.items() if name not in texts
    ]
    wanted += [(f"x_{name}", f"extra.{name}", text) for name, text in source.extra.items()]
    wanted = [each for each in wanted if each[0] in types]

    def refused(some: Sequence[tuple[str, str, str]]) -> bool:
        try:
            frame.select(*(written(F.col(alias), types[alias]).alias(alias) for alias, *_ in some))
        except AnalysisException:
            return True
        return False

    for alias, setting, text in wanted:
        if name := name_twice(types[alias]):
            raise ConfigError(
                f"datasets.{dataset.name}.{setting}: two fields of {text} are named {name}, which no JSON object can have",
                code="column_type",
                remedy="Give one of them another name.",
            )
    if not refused(wanted):
        return
    alias, setting, text = next(each for each in wanted if refused([each]))
    name = setting.partition(".")[2]
    raise ConfigError(
        f"datasets.{dataset.name}.{setting}: {text} is {types[alias].simpleString()[:200]}, which has no JSON",
        code="column_type",
        remedy=f'Convert it in the configuration: {name} = "cast({text} as string)", or leave it out.',
    )
