"""Plans the next batch of an integration from its dataset state and the event tables. Counts rows, writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from rover_spark.config.settings import Settings
from rover_spark.contract.avro import canonical, fingerprint
from rover_spark.contract.currents import MAX_EVENT_BYTES
from rover_spark.delta import gaps
from rover_spark.delta.anchor import begin_later, confirm, reach
from rover_spark.delta.engine_errors import reading, second_look
from rover_spark.delta.parallel import side_by_side
from rover_spark.delta.session import Session
from rover_spark.delta.tables import Tables
from rover_spark.delta.used_columns import used
from rover_spark.errors import ConfigError, RunError, SourceGap, SourceUnread
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.plan import Manifests, Phase, Plan
from rover_spark.model.table import HistoryRow, TableState
from rover_spark.produce.currents.arrived import arrivals, by_files, files_of, require_readable
from rover_spark.produce.currents.counts import counted_slices
from rover_spark.produce.currents.event_types import EventTypes
from rover_spark.produce.currents.field_types import FieldTypes
from rover_spark.produce.currents.fields import columns_of
from rover_spark.produce.currents.keys import Taken
from rover_spark.produce.currents.plan import (
    ADOPTED,
    EVENTS,
    GIVE_UP,
    EventPlan,
    Slice,
    batch_of,
    event_plan,
)
from rover_spark.produce.currents.records import require_avro
from rover_spark.produce.currents.scan import described, scan_groups
from rover_spark.produce.currents.steps import kept, laid_out, last_of, place, registered


class EventPlanner:
    """Plans one run of an integration at one instant (ms since 1970), ``asked`` for by the user or read from a clock."""

    def __init__(
        self, session: Session, settings: Settings, ledger: Ledger, now: int, *, asked: bool
    ) -> None:
        self._session, self._settings, self._ledger = session, settings, ledger
        self.taken = Taken()  # by an earlier ledger that this one does not know
        self.now = now
        self._asked = asked
        self._refused = ""  # why data files could not be read one by one, once they could not
        self._field_types = FieldTypes(session)
        self.refresh()

    def refresh(self) -> None:
        """Forgets what the tables looked like: another driver may have gone further than this run saw."""
        self._tables = Tables(self._session, self._settings.tables)
        self._event_types = EventTypes(self._settings, self._tables, self._field_types)

    def table(self, event_type: str, table: str, since: int | HistoryRow | None) -> TableState:
        """The table of an event type as this run first saw it."""
        return self._event_types.table(event_type, table, since)

    def confirm(self, plan: Plan) -> None:
        """Raises SourceGap unless every table still holds the commits that the plan pinned."""
        plan = event_plan(plan)
        slices = [plan.slices[number] for number in plan.delivering]
        to = dict[str, int]()
        for one in slices:
            state = self.table(one.event_type, one.source.table, one.commits[0])
            again = "Run export again: what can be read is planned anew."
            confirm(plan.batch, one.source.table, one.commits, state, again)
            to[one.event_type] = state.read_by(one.to_version)
        self._require_whole(slices, to)

    def refused(self, stream: str, why: str) -> None:
        """Lets events be shuffled for the rest of this run, whatever their data files are."""
        self._refused = why

    def unread(self, stream: str, error: RunError) -> None:
        """Does nothing: the plan of a rerun tries each event type itself."""

    def require_whole(self, event_type: str, last: Slice, state: TableState) -> None:
        """Raises SourceGap where the log says that the changes after the last batch would not be whole."""
        if last.to_version < state.latest.version and state.row(last.to_version) == last.anchor:
            by_feed = state.keeps_feed and last.keeps_feed
            first, to, read = last.to_version + 1, state.latest.version, self._event_types.source(event_type)
            self._require_whole(
                [replace(last, source=read, from_version=first, to_version=to, by_feed=by_feed)]
            )

    def _require_whole(self, slices: Sequence[Slice], read_by: Mapping[str, int] | None = None) -> None:
        """``read_by`` is given for slices that a plan pinned: by event type, the version whose columns the feed is read by."""
        due = [one for one in slices if one.from_version is not None]
        looks = []
        for one in due:
            assert one.from_version is not None
            state = self.table(one.event_type, one.source.table, None)
            read = used(one.source.expressions)
            looks.append(
                gaps.Range(
                    one.source.table,
                    state.location,
                    one.from_version - 1,
                    one.to_version,
                    read,
                    one.by_feed,
                    delivered=read_by is None and bool(one.offsets),
                    read_by=None if read_by is None else read_by[one.event_type],
                )
            )
        with reading(EVENTS, described(due), remedy=GIVE_UP):
            found = self._tables.gaps(looks)
        for one, look, gap in zip(due, looks, found, strict=True):
            setting = f'events."{one.event_type}"'
            # an event type that was never delivered has nothing to give up
            remedy = GIVE_UP if one.offsets else begin_later([f"{setting}.start"])
            gaps.refuse(setting, look, gap, remedy)

    def check(self, stream: str, dataset_state: DatasetState) -> None:
        """Raises ConfigError for what must be mended before any row is read: tables, feeds, columns, schemas."""
        if self._asked and self.now < dataset_state.instant:
            raise ConfigError(
                "the instant of this run lies before that of the last batch",
                code="now_too_early",
                remedy="Leave --now out, or name a later one.",
            )
        last = last_of(dataset_state)
        known = {} if last is None or dataset_state.rerun else {each.event_type: each for each in last.slices}
        new = side_by_side(lambda name: self._is_new(name, known.get(name)), self._settings.events)
        due = [name for name, is_new in zip(self._settings.events, new, strict=True) if is_new]
        if due:
            require_avro(self._session.spark)
        side_by_side(self.require_fit, due)

    def _is_new(self, event_type: str, last: Slice | None) -> bool:
        """Whether rows of the event type will be read, or its settings are not those of its last batch.

        Raises ConfigError where new rows of its table could not be found.
        """
        chosen = self._settings.events[event_type]
        state = self.table(event_type, chosen.table, None)
        require_readable(f'events."{event_type}".table', chosen.table, state)
        if (
            last is None
            or state.latest.version != last.to_version
            or self._event_types.source(event_type) != last.source
        ):
            return True
        if chosen.schema_file is None:
            return False
        text = canonical(self._event_types.schema(event_type))
        return all(each.fingerprint != fingerprint(text) for each in self._ledger.schemas())

    def require_fit(self, event_type: str) -> None:
        """Raises ConfigError unless the table's columns can become what the event type's schema asks for."""
        self._event_types.require_fit(event_type)

    def next_plan(self, stream: str, dataset_state: DatasetState) -> EventPlan | None:
        """The next batch, or None where no table has a new version.

        Event types that are new come first, in a batch without rows, which cannot be aborted: the version from which they
        count is recorded in the ledger whatever becomes of the events of others.

        Raises:
            SourceGap, RunError: a gap, a breaking schema, rows that were changed; nothing is staged.
        """
        last = last_of(dataset_state)
        if dataset_state.rerun and last is not None:
            return self._giving_up(dataset_state, last)
        before = {each.event_type: each for each in last.slices} if last else {}
        new = {name: self._place(name, None) for name in self._settings.events if name not in before}
        enabled = {name: one for name, one in new.items() if one.from_version is None}
        if enabled:
            return self._pinned(dataset_state, "enable", (*enabled.values(), *kept(last, enabled)), enabled)
        slices = [new.get(name) or self._place(name, before[name]) for name in self._settings.events]
        if all(one.from_version is None for one in slices):
            return None
        self._require_whole(slices)
        slices += kept(last, self._settings.events)
        return self._pinned(dataset_state, "changes", tuple(slices), self._settings.events)

    def _place(self, event_type: str, last: Slice | None) -> Slice:
        chosen, wanted = self._settings.events[event_type], self._event_types.source(event_type)
        state = self.table(event_type, wanted.table, last.anchor if last else reach(chosen.start))
        found = place(event_type, wanted, chosen.start, last, state)
        return found if last else replace(found, offsets=self.taken.offsets(event_type))

    def _giving_up(self, dataset_state: DatasetState, last: EventPlan) -> EventPlan:
        """Event types that can still be read keep their version; the others go on after the newest one."""
        slices, lost = [], []
        for one in last.slices:
            if one.event_type not in self._settings.events or self._can_go_on(one):
                slices.append(replace(one, from_version=None, commits=(one.anchor,)))
                continue
            wanted = self._event_types.source(one.event_type)
            state = self.table(one.event_type, wanted.table, None)
            fresh = place(one.event_type, wanted, "enable", None, state)
            slices.append(replace(fresh, offsets=one.offsets, schema_id=one.schema_id))
            lost.append(f"{one.event_type} after version {one.to_version}")
        note = f"given up, as the operator accepted: {', '.join(lost) or 'nothing, all of it can be read'}"
        # this batch delivers nothing, so a breaking schema change is refused by the next batch that delivers
        return replace(self._pinned(dataset_state, "lost", tuple(slices), ()), note=note)

    def _can_go_on(self, last: Slice) -> bool:
        """Whether today's settings still go on from there, and all that came since can be read."""
        try:
            due = self._place(last.event_type, last)
            if due.from_version is not None:
                second_look(lambda: self._read(due))
        except (SourceGap, SourceUnread, ConfigError):
            return False
        return True

    def _read(self, due: Slice) -> None:
        self._require_whole([due])
        with reading(EVENTS, described([due]), remedy=GIVE_UP):
            # every column of every row, as staging would: a count alone reads none
            files = files_of(self._tables.logs, [due])
            (rows,) = arrivals(self._session.spark, scan_groups([(0, due)]), files).values()
            rows = columns_of(rows, due.event_type, due.source)
            rows.write.format("noop").mode("overwrite").save()

    def _pinned(
        self, dataset_state: DatasetState, phase: Phase, slices: tuple[Slice, ...], registers: Collection[str]
    ) -> EventPlan:
        currents = self._settings.currents
        assert currents is not None
        seq = dataset_state.seq + 1
        known = self._ledger.schemas()
        named = [one.event_type for one in slices if one.event_type in registers]
        schemas = {event_type: self._event_types.schema(event_type) for event_type in named}
        old = {each.event_type: each.schema_id for each in slices}
        aborted = {batch_of(number) for number in dataset_state.aborted}
        ids, new = registered(
            schemas,
            known,
            batch_of(seq),
            aborted,
            allow_breaking=currents.allow_breaking,
            taken=self.taken.schema_id,
        )
        slices = tuple(replace(one, schema_id=ids.get(one.event_type, old[one.event_type])) for one in slices)
        states = {name: self.table(name, self._settings.events[name].table, None) for name in named}
        slices = by_files(self._tables.logs, slices, states)
        slices, rows = counted_slices(
            self._session, self._tables.logs, self._settings, slices, dataset_state, self._refused
        )
        moved, groups = laid_out(slices, rows, currents.partitions, currents.backlog_events)
        files = self._settings.files
        return EventPlan(
            export=self._settings.name,
            dataset=EVENTS,
            epoch=1,
            seq=seq,
            phase=phase,
            instant=max(self.now, dataset_state.instant + 1),
            destination=self._settings.destination,
            source_rows=sum(count for *_, count in rows),
            integration=currents.integration,
            partitions=currents.partitions,
            codec=currents.codec,
            compression_level=files.compression_level,
            max_event_bytes=min(files.max_record_bytes, MAX_EVENT_BYTES),
            slices=moved,
            groups=groups,
            schemas=new,
            note=ADOPTED if self.taken.free else "",
            manifests=Manifests.at(
                self._settings.manifests_at, self._settings.manifests.formats, dataset_state.manifest
            )
            if phase == "changes"
            else None,
        )
