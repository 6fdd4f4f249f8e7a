"""What the completion manifest of a Rover batch says of its plan: versions, fields, the key of a row."""

from __future__ import annotations

from rover_spark.contract.manifests import Window
from rover_spark.contract.rover import ENVELOPE, Dataset
from rover_spark.model.plan import Plan
from rover_spark.produce.port import Announced, moment
from rover_spark.produce.rover.plan import Source, batch_plan


def announced(plan: Plan) -> Announced:
    """Commit times are those of the pinned commits; a snapshot has no first one."""
    plan = batch_plan(plan)
    first = None if plan.from_version is None else moment(plan.commits[0].timestamp)
    return Announced(
        folder=plan.dataset,
        dataset=plan.dataset,
        window=Window(plan.from_version, plan.to_version, first, moment(plan.anchor.timestamp)),
        columns=_columns(plan.definition, plan.source),
        key=_key(plan.definition),
        event_time=plan.definition.event_time,
    )


def _columns(dataset: Dataset, source: Source) -> tuple[str, ...]:
    """The fields that a record may have, in the order of its line."""
    own = [field.name for field in dataset.own]
    own += ["deleted"] if source.deletes == "tombstone" else []
    own += ["operation"] if dataset.operation else []
    return (*ENVELOPE, *own, *source.extra, dataset.event_time)


def _key(dataset: Dataset) -> tuple[str, ...]:
    """The fields of a record that identify a row; an event's key is not delivered, but its id is made of nothing else."""
    delivered = all(dataset.field(name).emitted for name in dataset.key)
    return dataset.key if delivered else ("id",)
