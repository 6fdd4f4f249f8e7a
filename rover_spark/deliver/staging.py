"""From a plan to its manifest: rows of the source → records → staged files, and what stands beside them.

The plan alone decides what happens here; nothing of it is visible. A contract differs in its records, not in the way.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession

from rover_spark.config.access import Access
from rover_spark.deliver.task import Manifest, Notice, stage, whole
from rover_spark.delta import read
from rover_spark.delta.engine_errors import MEND, reading
from rover_spark.delta.names import span
from rover_spark.delta.parallel import batched, side_by_side
from rover_spark.ledger.side_tables import FLOORS, QUARANTINE, floors_before, write_once
from rover_spark.ledger.table import Ledger
from rover_spark.model.plan import BatchPlan, Plan
from rover_spark.produce.currents.layout import arranged_events
from rover_spark.produce.currents.plan import EventPlan
from rover_spark.produce.currents.records import Company, companies, event_rows, told, union
from rover_spark.produce.rover.records import arranged, floor_rows, quarantine_rows, units


def staged(
    spark: SparkSession, ledger: Ledger, plan: Plan, notice: Notice | None, access: Access
) -> Manifest:
    """Stages every file of a plan; quarantine and floors are written once a batch.

    Raises:
        SourceGap, RunError, StoreError: nothing of the batch is visible.
        NotRepeatable: other rows arrived than were counted when the batch was planned.
    """
    if isinstance(plan, EventPlan):
        return _events(spark, ledger, plan, notice, access)
    assert isinstance(plan, BatchPlan)
    what = span(plan.source.table, plan.from_version, plan.to_version)
    with reading(plan.dataset, what, again=MEND if plan.phase == "snapshot" else None):
        rows = units(read.planned(spark, plan), plan, floors_before(spark, ledger, plan))
        manifest = whole([stage(arranged(rows, plan), plan, notice, access)], plan, access)
        if manifest.counts["quarantined"]:
            write_once(ledger, QUARANTINE, plan, quarantine_rows(rows, plan))
        if manifest.floors:
            write_once(ledger, FLOORS, plan, floor_rows(rows, plan))
    return manifest


def _events(
    spark: SparkSession, ledger: Ledger, plan: EventPlan, notice: Notice | None, access: Access
) -> Manifest:
    known = {each.id: each.text for each in (*ledger.schemas(), *plan.schemas)}
    texts = {each.event_type: known[each.schema_id] for each in plan.slices}
    if not plan.delivering:
        return Manifest((), {})
    due = [(number, plan.slices[number]) for number in plan.delivering]

    def part(some: Sequence[Company]) -> tuple[DataFrame, Manifest]:
        rows = event_rows(spark, plan, some, texts)
        numbers = {number for company in some for number, _ in company}
        return rows, stage(arranged_events(rows, plan, numbers), plan, notice, access, texts)

    with reading(plan.dataset, told(one for _, one in due)):
        parts = side_by_side(part, batched(companies(due, texts)))
        manifest = whole([each for _, each in parts], plan, access)
        if broken := [rows for rows, each in parts if each.counts["quarantined"]]:
            write_once(ledger, QUARANTINE, plan, quarantine_rows(union(broken), plan))
    return manifest
