"""The Currents contract behind the port: an EventPlanner that also makes the rows of its plans and describes its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from pyspark.sql import functions as F

from rover_spark.config.settings import Settings
from rover_spark.contract.currents import EVENTS_PER_FILE
from rover_spark.delta import read
from rover_spark.delta.anchor import check_anchor
from rover_spark.delta.engine_errors import MEND, reading
from rover_spark.delta.names import span
from rover_spark.delta.parallel import batched
from rover_spark.delta.session import Session
from rover_spark.encode.avro import ENCODER
from rover_spark.errors import ConfigError
from rover_spark.ledger.side_tables import QUARANTINE
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.plan import Plan
from rover_spark.model.table import TableState
from rover_spark.produce.columns.quarantine import quarantine_rows
from rover_spark.produce.currents.arrived import alike_of, arrivals, files_of, remedy_of
from rover_spark.produce.currents.data_files import filterable, places
from rover_spark.produce.currents.files import EventFiles
from rover_spark.produce.currents.hand_over import widened
from rover_spark.produce.currents.keys import owner
from rover_spark.produce.currents.layout import arranged_events, in_file_order
from rover_spark.produce.currents.plan import GIVE_UP, EventSource, Slice, event_plan
from rover_spark.produce.currents.planner import EventPlanner
from rover_spark.produce.currents.records import event_rows
from rover_spark.produce.currents.scan import Scan, ScanGroup, described, scan_groups, scan_of
from rover_spark.produce.currents.steps import last_of, refuse_changed
from rover_spark.produce.port import Beside, Part, Place, Work


def producer(session: Session, settings: Settings, ledger: Ledger, now: int, *, asked: bool) -> EventProducer:
    """The producer of one run."""
    return EventProducer(session, settings, ledger, now, asked=asked)


class EventProducer(EventPlanner):
    """One run: plans as the EventPlanner does. Its only stream is the integration's events."""

    enough = EVENTS_PER_FILE
    encoder = ENCODER

    def keep_clear(self, keys: Iterable[str]) -> None:
        """Offsets and schema ids go on above those of these keys."""
        mine = owner(self._settings)
        for key in keys:
            if (parts := mine.parts(key)) is not None:
                self.taken.take(parts)

    def release(self, stream: str) -> None:
        """Does nothing: planning keeps no rows."""

    def work(self, plan: Plan, chunks: frozenset[int] | None = None) -> Work:
        """Event types that are read together make one part as long as they are few; only those of the chunks are read."""
        plan = event_plan(plan)
        known = {each.id: each.text for each in (*self._ledger.schemas(), *plan.schemas)}
        texts = {each.event_type: known[each.schema_id] for each in plan.slices}
        wanted = None if chunks is None else {plan.slice_of(chunk) for chunk in chunks}
        due = [
            (number, plan.slices[number]) for number in plan.delivering if wanted is None or number in wanted
        ]

        def part(some: Sequence[ScanGroup]) -> Callable[[], Part]:
            def make() -> Part:
                rows = event_rows(arrivals(self._session.spark, some, files, of_files), plan, some, texts)
                beside = Beside(
                    QUARANTINE,
                    "quarantined",
                    lambda: quarantine_rows(rows, plan, F.col("event"), F.col("commit")),
                )
                if some[0].leader.data_files:
                    return Part(
                        in_file_order(rows), (beside,), widened, by_id=False, within=self._session.unsplit
                    )
                numbers = {number for group in some for number in group.numbers}
                return Part(arranged_events(rows, plan, numbers), (beside,), widened)

            return make

        def read_whole() -> AbstractContextManager[None]:
            those = [one for _, one in due]
            return reading(plan.dataset, described(those), remedy=remedy_of(those))

        with read_whole():
            files = files_of(self._tables.logs, (one for _, one in due))
        of_files, group_of = dict[Scan, range](), dict[int, tuple[int, int]]()
        shuffled, by_file = list[tuple[int, Slice]](), list[ScanGroup]()
        for number, one in due:
            if not one.data_files:
                shuffled.append((number, one))
                continue
            by_file.append(ScanGroup((number,), (one,)))
            scan, first = scan_of(one), plan.first_chunk(number)
            of_files[scan] = range(first, first + one.data_files)
            group_of.update(zip(of_files[scan], places(plan, number, files.get(scan)), strict=True))
        groups = [*batched(by_file), *batched(scan_groups(shuffled, texts, alike_of(files)))]
        cutter = EventFiles(plan, texts, group_of)
        return Work([part(some) for some in groups], cutter, read_whole, chunks, at_most=filterable(plan))

    # -- the state of its tables -------------------------------------------------------------------------------

    def places(self, stream: str, dataset_state: DatasetState) -> list[Place]:
        """One for each event type that today's settings name; the table that it was delivered from."""
        before = self._before(dataset_state)
        return [
            Place(
                name,
                before[name].source.table if name in before else chosen.table,
                before[name].to_version if name in before else None,
            )
            for name, chosen in self._settings.events.items()
        ]

    def _before(self, dataset_state: DatasetState) -> dict[str, Slice]:
        last = last_of(dataset_state)
        return {each.event_type: each for each in last.slices} if last else {}

    def state(self, place: Place) -> TableState:
        """The table as this run first saw it."""
        return self.table(place.name, place.table, None)

    def look(self, place: Place, dataset_state: DatasetState) -> TableState:
        """The table back to what was delivered, which must still be there."""
        last = self._before(dataset_state).get(place.name)
        state = self.table(place.name, place.table, last.anchor if last else None)
        if last is not None:
            check_anchor(f'events."{place.name}"', last.source.table, last.anchor, state, GIVE_UP)
            if not dataset_state.rerun:
                self.require_whole(place.name, last, state)
        return state

    def agree(self, place: Place, dataset_state: DatasetState) -> None:
        """Holds today's settings against those of the last batch."""
        chosen, last = self._settings.events[place.name], self._before(dataset_state).get(place.name)
        if last is not None:
            wanted = EventSource(chosen.table, chosen.where, {}, chosen.natural_key, ignores_changes=False)
            refuse_changed(place.name, wanted, last)

    def try_rows(self, place: Place, rows: int) -> None:
        """That its columns fit, and that one row can be read."""
        self.require_fit(place.name)
        version = self.state(place).latest.version
        what = span(place.table, None, version)
        with reading(place.name, what, remedy=MEND):
            read.snapshot(self._session.spark, place.table, version).limit(1).collect()

    # -- what an operator asks for -----------------------------------------------------------------------------

    def accepted(self, dataset_state: DatasetState) -> list[str]:
        """None: a changed schema gets an id of its own."""
        return []

    def refuse_accept(self) -> None:
        """Refuses: a changed schema needs no confirmation."""
        message = "columns of events need no confirmation: a changed schema gets a new id with the next batch"
        remedy = "A change that breaks readers is confirmed by currents.allow_breaking = true for one run."
        raise ConfigError(message, code="accept_refused", remedy=remedy)

    def accept(self, stream: str, dataset_state: DatasetState) -> tuple[list[str], dict[str, str]]:
        """Refuses, as ``refuse_accept`` does."""
        self.refuse_accept()
        return [], {}

    def refuse_rerun(self, stream: str, *, accept_gap: bool) -> None:
        """Events have no snapshot: a gap can be accepted only."""
        if not accept_gap:
            message = f"{stream} has no snapshot to run again"
            remedy = "rerun --accept-gap gives up its undelivered events."
            raise ConfigError(message, code="rerun_refused", remedy=remedy)
