"""What the completion manifest of a batch of events says of its plan: event types, commit times, schema ids of files."""

from __future__ import annotations

from rover_spark.contract.currents import parse_currents_key
from rover_spark.contract.manifests import Window
from rover_spark.model.plan import Plan
from rover_spark.produce.currents.plan import event_plan
from rover_spark.produce.port import Announced, moment
from rover_spark.store import prefix_of

_EVERY_EVENT = ("id", "time")


def announced(plan: Plan) -> Announced:
    """The event types whose rows the batch read, also where none of the rows was an event that is new."""
    plan = event_plan(plan)
    slices = [plan.slices[number] for number in plan.delivering]
    times = [commit.timestamp for one in slices for commit in one.commits]
    prefix = prefix_of(plan.destination)

    def of_file(key: str) -> tuple[str, int]:
        parts = parse_currents_key(prefix, key)
        assert parts is not None
        return parts.event_type, parts.schema_id

    return Announced(
        folder=plan.integration.name,
        event_types=tuple(one.event_type for one in slices),
        window=Window(None, None, moment(min(times)), moment(max(times))),
        columns=_EVERY_EVENT,
        key=("id",),
        event_time="time",
        of_file=of_file,
    )
