"""What a change is, and which event time its record carries. Source: Rover, "Snapshot vs change stream" and event-time fields.

A change is decided for each row key and commit by comparing the state before with the state after. Delta's change types
are not enough: an overwrite or a RESTORE arrives as deletes and inserts of unchanged rows. Several rows with one key are one
state: the one with the latest event time, then with the greatest digest of its content; the others are counted.
A wide row has one time for all of its identifiers, so an identifier that only got a later time did not change.

``net`` adds to projected feed rows: ``outcome`` (below), ``operation`` and ``base_us``, the earliest event time that
the change may carry on its own account.

    delivered    becomes a record                      no_change    the state before equals the state after
    suppressed   a change that has no record           quarantined  cannot be delivered as it is
    superseded   repeats a record of the batch         conflict     another payload under a record's id or row key
    before       the row before an update; the row after it is counted
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rover_spark.model.manifest import BEFORE
from rover_spark.produce.columns.times import YEAR_10000, in_range
from rover_spark.produce.rover.plan import BatchPlan

TOO_LARGE = "record_too_large"


def all_created(rows: DataFrame) -> DataFrame:
    """Every row as a create: rows of a snapshot, or of a range in which rows were only inserted."""
    outcome = F.when(F.col("problem").isNotNull(), F.lit("quarantined")).otherwise(F.lit("delivered"))
    return rows.withColumns({"operation": F.lit("create"), "base_us": F.col("own_us"), "outcome": outcome})


def net(
    rows: DataFrame, plan: BatchPlan, *, in_one_task: bool = False, partitions: int | None = None
) -> DataFrame:
    """Projected feed rows with their outcome, operation and base event time. One shuffle and one sort, by row key.

    With ``in_one_task`` all rows are in one partition, and are not shuffled; else ``partitions`` says how many there will be,
    and None leaves that to Spark.
    """
    after = is_after()
    # only equality of contents matters, and a digest is small to shuffle
    wide = bool(plan.source.identifiers)
    compared = (
        ("rover_id", "inner", "tail")
        if wide
        else (F.col("own_us").cast("string"), "rover_id", "inner", "tail")
    )
    content = F.coalesce("row_json", F.concat_ws(",", *compared))
    # Spark analyses the whole plan again for each step: few steps, each of many columns
    columns = {"is_after": after, "content": F.sha2(content, 256)}
    if not _emits_deletes(plan):
        # no record shows the state before a change
        columns |= {name: F.when(after, F.col(name)) for name in ("inner", "tail")}
    frame = rows.withColumns(columns)
    unit = Window.partitionBy("key", "commit")
    ranked = unit.orderBy(*_greatest_first())
    state = F.struct("own_us", "content")
    if not in_one_task:
        frame = by_key(frame, partitions)
    frame = frame.withColumns(
        {
            "rank": F.row_number().over(ranked),
            "leader": F.first(state).over(ranked.rowsBetween(Window.unboundedPreceding, 0)),
            "previous": F.max(F.when(~F.col("is_after"), state)).over(unit),
        }
    )
    previous = F.col("previous")
    equal = previous.eqNullSafe(state)
    if wide:  # a time that goes back is a change: later records must not carry an earlier time
        later = F.coalesce(F.col("own_us") >= previous["own_us"], F.lit(True))
        equal = (previous["content"] == F.col("content")) & later
    operation = (
        F.when(~F.col("is_after"), F.lit("delete"))
        .when(previous.isNull(), F.lit("create"))
        .when(equal, F.lit(None))
        .otherwise(F.lit("update"))
    )
    return (
        frame.withColumn("operation", F.when(F.col("rank") == 1, operation))
        .withColumns({"outcome": _outcome(plan, F.col("leader").eqNullSafe(state)), "base_us": _base(plan)})
        .drop("leader")
    )


def by_key(rows: DataFrame, partitions: int | None) -> DataFrame:
    """The rows with those of one key in one partition. One shuffle."""
    return rows.repartition("key") if partitions is None else rows.repartition(partitions, "key")


def is_after() -> Column:
    """Whether a row of the feed holds a state after its commit, not the one before it."""
    return F.col("change").isin("insert", "update_postimage")


def _greatest_first() -> list[Column]:
    """The order of rows within one key and commit: the first row after the change is the state after, and so before it."""
    return [F.desc("is_after"), F.desc_nulls_last("own_us"), F.desc("content")]


def _emits_deletes(plan: BatchPlan) -> bool:
    return plan.definition.deletes == "record" or plan.source.deletes == "tombstone"


def _outcome(plan: BatchPlan, repeated: Column) -> Column:
    operation = F.col("operation")
    is_delete = operation == "delete"
    recorded = operation == "create" if plan.definition.append_only else operation.isNotNull()
    if not _emits_deletes(plan):
        recorded = recorded & ~is_delete
    # a delete needs its key only, which may itself be too large; a tombstone leaves the key out
    large = (F.col("problem") == TOO_LARGE) & F.lit(plan.source.deletes != "tombstone")
    broken = F.col("problem").isNotNull() & (~is_delete | F.col("key_problem") | large)
    return (
        F.when(
            (F.col("rank") > 1) & F.col("is_after"),
            F.when(repeated, F.lit("superseded")).otherwise(F.lit("conflict")),
        )
        .when(F.col("rank") > 1, F.lit(BEFORE))
        .when(operation.isNull(), F.lit("no_change"))
        .when(broken, F.lit("quarantined"))
        .when(recorded, F.lit("delivered"))
        .otherwise(F.lit("suppressed"))
    )


def _base(plan: BatchPlan) -> Column:
    own, commit = F.col("own_us"), F.col("commit_us")
    if plan.definition.append_only:
        return own
    was = in_range(F.col("previous")["own_us"])
    # greatest() ignores nulls: a row without a time of its own takes the commit's
    return (
        F.when(F.col("operation") == "delete", F.greatest(commit, was + 1))
        .when((F.col("operation") == "update") & (own <= was), F.greatest(commit, was + 1))
        .otherwise(own)
    )


def timed(rows: DataFrame, plan: BatchPlan, floors: DataFrame | None) -> DataFrame:
    """Adds ``event_us``, the time as emitted, and ``floor``: the time was raised, or the key was deleted.

    ``floors`` (key, floor_us) holds what earlier batches left. Each change of a key
    carries a later time than the change before it: in closed form, i + max(floor, max over j ≤ i of base_j - j), where i
    counts the changes of the key.

    No time is later than the last microsecond of the year 9999. A change that would
    need a later one is quarantined, and so are all later changes of its key: a delete with the time of its create would
    leave receivers with either.
    """
    if plan.definition.append_only:
        return rows.withColumns({"event_us": F.col("base_us"), "floor": F.lit(False)})
    lifted = F.lit(None).cast("bigint")
    if floors is not None:
        rows = rows.join(floors, "key", "left")
        lifted = F.col("floor_us")
    ordered = F.col("outcome").isin("delivered", "suppressed")
    if plan.phase == "snapshot":
        event = F.greatest("base_us", lifted + 1)
    else:
        chain = (
            Window.partitionBy("key")
            .orderBy("commit", *_greatest_first())
            .rowsBetween(Window.unboundedPreceding, Window.currentRow)
        )
        rows = rows.withColumn("turn", F.sum(F.when(ordered, 1).otherwise(0)).over(chain))
        ahead = F.max(F.when(ordered, F.col("base_us") - F.col("turn"))).over(chain)
        rows = rows.withColumn("ahead", ahead)  # by name: each mention would be a window of its own
        event = F.col("turn") + F.greatest(lifted, F.col("ahead"))
    rows = rows.withColumn("event_us", F.least(event, F.lit(YEAR_10000 - 1)))
    raised = (F.col("operation") == "delete") | (F.col("event_us") != F.col("own_us")) | (event >= YEAR_10000)
    rows = rows.withColumn("floor", F.coalesce(ordered & raised, F.lit(False)))
    late = (F.col("outcome") == "delivered") & (event >= YEAR_10000)
    members = F.concat_ws(",", F.concat(F.lit('"roverID":"'), "rover_id", F.lit('"')), _unless_empty("inner"))
    reason = F.lit(f"{plan.definition.event_time}_out_of_range")
    row = F.concat(F.lit("{"), members, F.lit("}"))
    return rows.withColumns(
        {
            "problem": F.when(late, reason).otherwise(F.col("problem")),
            "row_json": F.when(late, row).otherwise(F.col("row_json")),
            "outcome": F.when(late, F.lit("quarantined")).otherwise(F.col("outcome")),
        }
    )


def _unless_empty(name: str) -> Column:
    return F.when(F.col(name) != "", F.col(name))
