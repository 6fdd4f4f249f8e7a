"""What a Currents batch pins: all event types of an integration at once, as values. Pure: no clock, no Spark, no store.

A Slice is the part of one event type, and the version up to which it is delivered by the batch. A Group holds the events
of one type, queue hour and partition; each group is cut into files by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any, ClassVar, cast

from rover_spark.contract.currents import CONTRACT, Integration
from rover_spark.delta.anchor import rerun_remedy
from rover_spark.model.plan import Manifests, Plan
from rover_spark.model.schema import RegisteredSchema
from rover_spark.model.table import HistoryRow
from rover_spark.model.wording import counted, duration

EVENTS = "events"  # the dataset that the ledger knows a whole integration by
HOUR_MS = 3_600_000
GIVE_UP = rerun_remedy(EVENTS, accept_gap=True)
ADOPTED = "begins above the files of an earlier ledger, as the operator adopted them"
_BIN_ROWS = 100_000
_BIN_GROUPS = 64


@dataclass(frozen=True)
class EventSource:
    """The rows that are events of a type: table, filter, one SQL expression a field; ``natural_key`` where ids are computed."""

    table: str
    where: str | None
    columns: dict[str, str]
    natural_key: tuple[str, ...]
    ignores_changes: bool

    @property
    def expressions(self) -> tuple[str, ...]:
        """Every SQL text that reads a column of the table."""
        texts = (*self.columns.values(), *self.natural_key)
        return texts if self.where is None else (*texts, self.where)


@dataclass(frozen=True)
class Slice:
    """One event type in a batch. ``from_version`` is None where the batch delivers no events of it.

    ``by_feed`` is False where the table kept no change data feed: the files that each commit added are read then.
    ``keeps_feed`` is whether it keeps one at ``to_version``.
    ``commits`` are the pinned commits, the last one that of ``to_version``; ``offsets`` the next free one in each
    partition once the batch is delivered.

    ``data_files`` is how many files the commits added where each is a chunk (layout ``files``); 0 where events are shuffled
    into chunks by their ids (layout ``hash``). ``why`` is the reason.
    """

    event_type: str
    source: EventSource
    from_version: int | None
    to_version: int
    table_id: str
    commits: tuple[HistoryRow, ...]
    schema_id: int
    per_file: int
    offsets: tuple[int, ...]
    by_feed: bool = True
    keeps_feed: bool = True
    data_files: int = 0
    why: str = ""

    @property
    def layout(self) -> str:
        """What its chunks are, as the settings name it."""
        return "files" if self.data_files else "hash"

    @property
    def anchor(self) -> HistoryRow:
        """The history row of the last version delivered."""
        return self.commits[-1]

    @property
    def hours(self) -> tuple[int, ...]:
        """The queue hours of its commits (ms since 1970), ascending."""
        if self.from_version is None:
            return ()
        return tuple(sorted(set(self.hour_of.values())))

    @property
    def hour_of(self) -> dict[int, int]:
        """The queue hour of each commit, by its version."""
        return {commit.version: commit.timestamp // HOUR_MS * HOUR_MS for commit in self.commits}


@dataclass(frozen=True)
class Group:
    """``rows`` source rows of slice number ``slice``, hour and partition; its first event takes ``offset``."""

    slice: int
    hour: int
    partition: int
    rows: int
    offset: int


@dataclass(frozen=True)
class EventPlan(Plan):
    """A batch of all event types; ``schemas`` are the ones that it registers.

    Chunk n is group n where events are shuffled. The data files that are chunks by themselves follow after all groups:
    slice after slice, in the order of the log. The offsets of a group's data files follow from the rows that the log counts.
    """

    contract: ClassVar[str] = CONTRACT

    integration: Integration
    partitions: int
    codec: str
    compression_level: int
    max_event_bytes: int
    slices: tuple[Slice, ...]
    groups: tuple[Group, ...]
    schemas: tuple[RegisteredSchema, ...]
    note: str = ""

    @property
    def chunks(self) -> int:
        """Returns the number of groups whose events are shuffled, and of data files."""
        shuffled = (group for group in self.groups if not self.slices[group.slice].data_files)
        return sum(1 for _ in shuffled) + sum(each.data_files for each in self.slices)

    def first_chunk(self, number: int) -> int:
        """The chunk of the first data file of a slice."""
        return len(self.groups) + sum(each.data_files for each in self.slices[:number])

    def slice_of(self, chunk: int) -> int:
        """The number of the slice that a chunk's events are of."""
        if chunk < len(self.groups):
            return self.groups[chunk].slice
        ends = accumulate(each.data_files for each in self.slices)
        return next(number for number, end in enumerate(ends) if chunk < len(self.groups) + end)

    @property
    def format(self) -> int:
        """Returns 2 where a chunk is a data file."""
        return 2 if any(each.data_files for each in self.slices) else 1

    @property
    def arrangement(self) -> str:
        """Returns the layouts with the event types that have them, and the reasons."""
        found: dict[str, list[str]] = {}
        for each in (self.slices[number] for number in self.delivering):
            if each.why:
                found.setdefault(f"{each.layout}: {each.why}", []).append(each.event_type)
        return "; ".join(f"{_some(types)}: {how}" for how, types in found.items())

    @property
    def lost(self) -> str:
        """Says which event types lose the changes after which version."""
        return self.note

    @property
    def delivering(self) -> tuple[int, ...]:
        """Numbers of the slices that read rows."""
        return tuple(number for number, each in enumerate(self.slices) if each.from_version is not None)

    @property
    def bins(self) -> tuple[int, ...]:
        """For each group the task that takes it: neighbours together until they are many rows or many files."""
        found, rows, inside, current = [], 0, 0, 0
        for group in self.groups:
            if inside and (rows + group.rows > _BIN_ROWS or inside == _BIN_GROUPS):
                rows, inside, current = 0, 0, current + 1
            rows, inside = rows + group.rows, inside + 1
            found.append(current)
        return tuple(found)

    def _tree(self) -> dict[str, Any]:
        # event types of one table pin the same commits, after an outage thousands of them: they are written once
        found: dict[tuple[HistoryRow, ...], int] = {}
        places = [found.setdefault(each.commits, len(found)) for each in self.slices]
        tree = asdict(replace(self, slices=tuple(replace(each, commits=()) for each in self.slices)))
        for each, place in zip(tree["slices"], places, strict=True):
            each["commits"] = place
            if self.format == 1:  # earlier versions read the plans that do without what they do not know
                del each["data_files"], each["why"]
        return {**tree, "commits": [[asdict(row) for row in rows] for rows in found]}

    @property
    def registers(self) -> tuple[RegisteredSchema, ...]:
        """Returns the schemas that the plan pins and that the ledger does not hold yet."""
        return self.schemas

    @property
    def span(self) -> str:
        """Says how many event types the plan delivers."""
        return f"{len(self.delivering)} types"

    def document(self) -> dict[str, Any]:
        """Adds the table, versions and schema id of each event type."""
        names = ("event_type", "from_version", "to_version", "schema_id")
        slices = [
            {"table": each.source.table, **{name: getattr(each, name) for name in names}}
            for each in self.slices
        ]
        return {**super().document(), "event_types": slices}

    def remarks(self, counts: Mapping[str, int]) -> list[str]:
        """Late events, and time zones that were dropped."""
        late, zones = counts.get("late"), counts.get("timezone_dropped")
        found = []
        if late:
            longest = duration(counts["max_lateness_s"])
            found.append(
                f"{counted(late, 'event')} came more than an hour after their time, at most {longest}"
            )
        if zones:
            found.append(f"{counted(zones, 'time zone')} not in the IANA database delivered as null")
        return found


def decode(tree: dict[str, Any]) -> EventPlan:
    """The plan that ``to_json`` wrote, from the parsed text without contract and format."""
    tree = dict(tree)
    commits = [tuple(HistoryRow(**row) for row in rows) for rows in tree.pop("commits")]
    values = {
        "integration": Integration(**tree["integration"]),
        "slices": tuple(_slice(each, commits[each["commits"]]) for each in tree["slices"]),
        "groups": tuple(Group(**each) for each in tree["groups"]),
        "schemas": tuple(
            RegisteredSchema(**{**each, "changes": tuple(each["changes"])}) for each in tree["schemas"]
        ),
        "manifests": Manifests.of(tree.get("manifests")),
    }
    return EventPlan(**{**tree, **values})


def event_plan(plan: Plan) -> EventPlan:
    """The plan as one of this contract: a stream of events has no other."""
    assert plan.contract == CONTRACT
    return cast(EventPlan, plan)


def _slice(tree: dict[str, Any], commits: tuple[HistoryRow, ...]) -> Slice:
    source = {**tree["source"], "natural_key": tuple(tree["source"]["natural_key"])}
    return Slice(
        **{
            **tree,
            "source": EventSource(**source),
            "commits": commits,
            "offsets": tuple(tree["offsets"]),
        }
    )


def _some(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def batch_of(seq: int) -> str:
    """The name of an integration's batch: all of them are of one epoch."""
    return f"{EVENTS}.1.{seq}"
