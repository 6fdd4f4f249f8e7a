"""Which event types are due, under which schema ids, and at which offsets their files begin. Pure.

An event type begins after the version at which it is enabled, and goes on after the version last delivered. Offsets are
reserved from counted rows, so they rise strictly and never overlap; events that are not delivered leave gaps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from rover_spark.contract.avro import Schema, canonical, changes, fingerprint, registered_tree
from rover_spark.contract.currents import EVENTS_PER_FILE, EVENTS_PER_FILE_BACKLOG
from rover_spark.delta.anchor import begin_later, check_anchor, first_version
from rover_spark.errors import RunError, SourceChanged, SourceGap
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.schema import RegisteredSchema
from rover_spark.model.table import TableState
from rover_spark.produce.currents.plan import GIVE_UP, EventPlan, EventSource, Group, Slice, event_plan

Counted = tuple[int, str, int, int, int]  # slice, change, hour (ms), partition, rows


def last_of(dataset_state: DatasetState) -> EventPlan | None:
    """The dataset state's last plan, which is one of this contract."""
    return None if dataset_state.last is None else event_plan(dataset_state.last)


def place(
    event_type: str, wanted: EventSource, start: str | int, last: Slice | None, state: TableState
) -> Slice:
    """The event type's part of the next batch, under the schema id 0.

    Raises:
        ConfigError: ``start`` names a version that is not there yet; another table or filter than before.
        SourceGap: the last delivered commit is no longer in the table's history.
    """
    latest = state.latest.version
    remedy = GIVE_UP
    if last is None:
        first = first_version(f'events."{event_type}".start', start, state)
        offsets: tuple[int, ...] = ()
        remedy = begin_later([f'events."{event_type}".start'])
    else:
        refuse_changed(event_type, wanted, last)
        check_anchor(f'events."{event_type}"', last.source.table, last.anchor, state, GIVE_UP)
        first = last.to_version + 1 if latest > last.to_version else None
        offsets = last.offsets
    begin = latest if first is None else first
    commits = tuple(row for row in state.rows if begin <= row.version <= latest)
    if len(commits) != latest - begin + 1:
        raise SourceGap(
            f'events."{event_type}": the history of {wanted.table} does not reach back to version {begin}',
            code="source_gap",
            remedy=remedy,
        )
    # the feed starts with the commit that turns it on, so the range that contains this commit is still read by added
    # files
    by_feed = state.keeps_feed and (last is None or last.keeps_feed)
    return Slice(
        event_type,
        wanted,
        first,
        latest,
        state.table_id,
        commits,
        schema_id=0,
        per_file=EVENTS_PER_FILE,
        offsets=offsets,
        by_feed=by_feed,
        keeps_feed=state.keeps_feed,
    )


def refuse_changed(event_type: str, wanted: EventSource, last: Slice) -> None:
    """Raises SourceChanged where the settings ask for another table, other rows or ids than were delivered before."""
    changed = [
        name
        for name in ("table", "where", "natural_key")
        if getattr(wanted, name) != getattr(last.source, name)
    ]
    if changed:
        names = ", ".join(f'events."{event_type}".{name}' for name in changed)
        raise SourceChanged(
            f"{names}: differs from what was delivered before; nothing was delivered",
            code="source_changed",
            remedy="Put it back, or confirm it: rover-spark rerun -c FILE --dataset events --accept-gap",
        )


def registered(
    schemas: Mapping[str, Schema],
    known: Iterable[RegisteredSchema],
    batch: str,
    aborted: Collection[str] = (),
    *,
    allow_breaking: bool,
    taken: int = 0,
) -> tuple[dict[str, int], tuple[RegisteredSchema, ...]]:
    """The schema id of each event type, and the schemas that are new: ids in byte order of the event types.

    Schemas of ``aborted`` batches were never read by anyone; only their ids stay taken. An earlier ledger used the ids up
    to ``taken``.

    Raises:
        RunError: a breaking change that nobody allowed; nothing is staged then.
    """
    known = list(known)  # in order of the ids: the last one of an event type counts
    latest = {each.event_type: each for each in known if each.batch not in aborted}
    taken = max(taken, *(each.id for each in known)) if known else taken
    ids: dict[str, int] = {}
    new: list[RegisteredSchema] = []
    for event_type in sorted(schemas, key=str.encode):
        text = canonical(schemas[event_type])
        before = latest.get(event_type)
        if before is not None and before.fingerprint == fingerprint(text):
            ids[event_type] = before.id
            continue
        found = changes(registered_tree(before.text), schemas[event_type]) if before else ()
        if any(each.breaking for each in found) and not allow_breaking:
            breaking = "; ".join(each.text for each in found if each.breaking)
            raise RunError(
                f'events."{event_type}": its schema changed in a way that breaks readers: {breaking}. Nothing was staged',
                code="schema_breaking",
                remedy="Put the columns back, or tell the receivers and set currents.allow_breaking = true for one run.",
            )
        ids[event_type] = taken + len(new) + 1
        sentences = tuple(each.text for each in found)
        new.append(RegisteredSchema(ids[event_type], event_type, text, fingerprint(text), sentences, batch))
    return ids, tuple(new)


def laid_out(
    slices: tuple[Slice, ...], counted: Iterable[Counted], partitions: int, backlog_events: int
) -> tuple[tuple[Slice, ...], tuple[Group, ...]]:
    """The groups of the counted rows, in order of slice, hour and partition; the slices with their next offsets.

    Raises:
        RunError: rows that were updated or deleted where that is not ignored.
    """
    rows: dict[int, dict[tuple[int, int], int]] = defaultdict(lambda: defaultdict(int))
    for number, change, hour, partition, count in counted:
        if change == "insert":
            rows[number][hour, partition] += count
        elif not slices[number].source.ignores_changes:
            one = slices[number]
            raise RunError(
                f'events."{one.event_type}": {one.source.table} has rows that were changed or removed ({change}) in '
                f"versions {one.from_version} to {one.to_version}; events are only ever added. Nothing was staged",
                code="event_changed",
                remedy=f'Set events."{one.event_type}".changes = "ignore" to count them and go on.',
            )
    found: list[Group] = []
    moved = []
    for number, one in enumerate(slices):
        offsets = list(one.offsets) + [0] * (partitions - len(one.offsets))
        for (hour, partition), count in sorted(rows[number].items()):
            found.append(Group(number, hour, partition, count, offsets[partition]))
            offsets[partition] += count
        per_file = threshold(sum(rows[number].values()), backlog_events)
        moved.append(replace(one, offsets=tuple(offsets), per_file=per_file))
    return tuple(moved), tuple(found)


def threshold(waiting: int, backlog_events: int) -> int:
    """How many events a file holds at most where so many of its type wait."""
    return EVENTS_PER_FILE_BACKLOG if waiting > backlog_events else EVENTS_PER_FILE


def kept(last: EventPlan | None, wanted: Iterable[str]) -> tuple[Slice, ...]:
    """Slices of event types that the settings no longer name: they keep their version, in case they come back."""
    names = set(wanted)
    gone = (each for each in (last.slices if last else ()) if each.event_type not in names)
    return tuple(replace(each, from_version=None, commits=(each.anchor,)) for each in gone)
