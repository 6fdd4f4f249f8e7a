"""How many rows a batch has, and in which layout: from the log where it says so, else Spark counts. Stages nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rover_spark.config.settings import Settings
from rover_spark.delta.engine_errors import reading
from rover_spark.delta.log.chosen import Logs
from rover_spark.delta.parallel import batched, side_by_side
from rover_spark.delta.session import Session
from rover_spark.model.dataset_state import DatasetState
from rover_spark.produce.currents.arrived import alike_of, arrivals, files_of, remedy_of
from rover_spark.produce.currents.data_files import counted_files, of_data_files
from rover_spark.produce.currents.plan import EVENTS, Slice
from rover_spark.produce.currents.records import counted
from rover_spark.produce.currents.scan import ScanGroup, described, scan_groups, scan_of
from rover_spark.produce.currents.steps import Counted


def counted_slices(
    session: Session,
    logs: Logs,
    settings: Settings,
    slices: tuple[Slice, ...],
    dataset_state: DatasetState,
    refused: str = "",
) -> tuple[tuple[Slice, ...], list[Counted]]:
    """The slices with their layouts; rows by slice, change, hour and partition.

    The log does not know that a file is gone or holds other rows than it says: then staging fails. So rows are counted, and
    events shuffled, under a rerun, after a batch that was aborted, and where data files were ``refused`` in this run.
    """
    currents = settings.currents
    assert currents is not None
    due = [(number, one) for number, one in enumerate(slices) if one.from_version is not None]
    with reading(EVENTS, described(one for _, one in due), remedy=remedy_of([one for _, one in due])):
        files = files_of(logs, (one for _, one in due))
    doubt = refused
    if dataset_state.rerun or dataset_state.seq in dataset_state.aborted:
        doubt = "rows are counted under a rerun, and after a batch that was aborted"
    slices = of_data_files(
        slices,
        files,
        by_ids={one.event_type: doubt or _by_settings(settings, one) for _, one in due},
        listed={one.source.table: logs.of(one.source.table).lists_rows for _, one in due},
        backlog_events=currents.backlog_events,
    )
    logged: Mapping[int, list[Counted] | None] = {
        number: None
        if doubt
        else counted_files(number, slices[number], files.get(scan_of(one)), currents.partitions)
        for number, one in due
    }

    def of(some: Sequence[ScanGroup]) -> list[Counted]:
        those = [one for group in some for one in group.slices]
        with reading(EVENTS, described(those), remedy=remedy_of(those)):
            frames = arrivals(session.spark, some, files)
            rows = counted(frames, some, currents.integration_id, currents.partitions).collect()
        return [(r["slice"], r["change"], r["hour"], r["partition"], r["rows"]) for r in rows]

    groups = scan_groups(
        [(number, one) for number, one in due if logged[number] is None], alike=alike_of(files)
    )
    found = (*logged.values(), *side_by_side(of, batched(groups)))
    return slices, [each for rows in found for each in rows or ()]


def _by_settings(settings: Settings, one: Slice) -> str:
    """Why the settings ask for events that are shuffled, or an empty text."""
    if settings.files.layout == "hash":
        return 'files.layout is "hash"'
    chosen = settings.events.get(one.event_type)
    return "dedupe compares the ids of the whole batch" if chosen and chosen.dedupe else ""
