"""From a plan to its manifest: rows of the source → records → staged files, and what stands beside them.

The plan alone decides what happens here; nothing of it is visible. A contract differs in its records, not in the way.
"""

from __future__ import annotations

from pyspark.sql import SparkSession

from rover_spark import source
from rover_spark.access import Access
from rover_spark.asides import FLOORS, QUARANTINE, floors_before, write_once
from rover_spark.eventplan import EventPlan
from rover_spark.ledger import Ledger
from rover_spark.plan import BatchPlan, Plan
from rover_spark.records import arranged, floor_rows, quarantine_rows, units
from rover_spark.records.currents import event_rows, told
from rover_spark.records.grouped import arranged_events
from rover_spark.stage import Manifest, Notice, stage


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
    with source.reading(plan.dataset, source.span(plan.source.table, plan.from_version, plan.to_version)):
        rows = units(source.read(spark, plan), plan, floors_before(spark, ledger, plan))
        manifest = stage(arranged(rows, plan), plan, notice, access)
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
    with source.reading(plan.dataset, told(plan.slices[n] for n in plan.delivering)):
        rows = event_rows(spark, plan, texts)
        manifest = stage(arranged_events(rows, plan), plan, notice, access, texts)
        if manifest.counts["quarantined"]:
            write_once(ledger, QUARANTINE, plan, quarantine_rows(rows, plan))
    return manifest
