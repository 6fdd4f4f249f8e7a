"""The rules that lead from a dataset state and a table's state to the next plan: what is due, and what is refused. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from rover_spark.config.settings import Settings
from rover_spark.contract.rover import DATASETS, SPREAD, Dataset
from rover_spark.delta.anchor import first_version
from rover_spark.delta.log.values import DataFile
from rover_spark.delta.logged import large_enough
from rover_spark.errors import ConfigError, SourceChanged
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.plan import Manifests
from rover_spark.model.table import TableState
from rover_spark.produce.rover.plan import BatchPlan, Files, Source, Step, Text, batch_plan, remedy_of

_COLUMN = "columns."  # how a Source names one of them that differs
_CAUTIOUS = 20  # batches that Spark reads after one was aborted


@dataclass(frozen=True)
class Layout:
    """The data files that are the chunks of a batch, in their order; none where ids are hashed. And why.

    ``raw`` says that their rows were counted before the filter.
    """

    files: Sequence[DataFile] = ()
    why: str = ""
    raw: bool = False


def of_data_files(files: Sequence[DataFile], rows: int, target: int) -> Layout:
    """The layout of a batch whose ``rows`` lie in these data files; ``target`` is the number of records a file aims at."""
    enough, why = large_enough(files, rows, target)
    return Layout(files if enough else (), why)


def reader_doubt(dataset_state: DatasetState) -> str | None:
    """Why Spark reads the data files of the next batch, or None.

    The native reader may have refused a batch that was aborted. It is tried again later: to stage in vain is all it costs.
    """
    recent = any(dataset_state.seq - seq < _CAUTIOUS for seq in dataset_state.aborted)
    return f"one of the last {_CAUTIOUS} batches was aborted" if recent else None


def source_of(settings: Settings, dataset: str) -> Source:
    """The source that today's settings ask for, defaults filled in."""
    chosen, contract = settings.datasets[dataset], DATASETS[dataset]
    names = SPREAD if chosen.identifiers else {}
    return Source(
        table=chosen.table,
        columns={
            field.name: chosen.columns.get(field.name, f"`{names.get(field.name, field.name)}`")
            for field in contract.fields
        },
        natural_key=chosen.natural_key or contract.natural_key,
        where=chosen.where,
        extra=dict(chosen.extra),
        deletes=chosen.deletes,
        identifiers=dict(chosen.identifiers or {}),
    )


def last_of(dataset_state: DatasetState) -> BatchPlan | None:
    """The dataset state's last plan, which is one of this contract."""
    return None if dataset_state.last is None else batch_plan(dataset_state.last)


def agreed(dataset_state: DatasetState) -> Source:
    """The source of the next batch: that of the last one, with the columns that were accepted since."""
    last = last_of(dataset_state)
    assert last is not None
    return (
        last.source
        if dataset_state.accepted is None
        else replace(last.source, columns=dataset_state.accepted.columns)
    )


def accepted_columns(dataset_state: DatasetState) -> list[str]:
    """The columns that were accepted, and count from the next batch on."""
    last = last_of(dataset_state)
    changed = agreed(dataset_state).differences(last.source) if last else []
    return [name.removeprefix(_COLUMN) for name in changed]


def refuse_changed(dataset: str, source: Source, dataset_state: DatasetState) -> None:
    """Raises SourceChanged where the settings ask for other rows, ids or values than what was agreed."""
    changed = source.differences(agreed(dataset_state))
    if not changed:
        return
    fixed = _fixed(dataset, source, changed)
    begin = f"rover-spark rerun -c FILE --dataset {dataset}{'' if DATASETS[dataset].snapshot else ' --accept-gap'}"
    accept = f"rover-spark accept -c FILE --dataset {dataset}"
    raise SourceChanged(
        f"{_named(dataset, changed)}: differs from {_agreement(dataset_state)}; nothing of {dataset} was delivered",
        code="source_changed",
        remedy=f"Put it back, or confirm it: {begin}"
        if fixed
        else f"Put it back, or let it count from the next batch on: {accept}; or deliver all of it anew: {begin}",
    )


def accepting(dataset: str, wanted: Source, dataset_state: DatasetState) -> list[str]:
    """The columns that the operator may confirm without a snapshot.

    Raises:
        ConfigError: there is nothing to confirm, or what changed decides which rows there are, their ids or their order.
    """
    if last_of(dataset_state) is None:
        raise _not_accepted(
            f"{dataset} was never delivered: there is nothing to confirm", "rover-spark export -c FILE"
        )
    if dataset_state.rerun:
        what = f"{dataset}: a rerun was asked for, and confirms all that changed"
        raise _not_accepted(what, "rover-spark export -c FILE")
    changed = wanted.differences(agreed(dataset_state))
    if not changed:
        what = f"{dataset}: its settings do not differ from {_agreement(dataset_state)}"
        raise _not_accepted(what, "rover-spark export -c FILE")
    if fixed := _fixed(dataset, wanted, changed):
        what = f"{_named(dataset, fixed)}: decides which rows there are, their ids or their order; nothing was accepted"
        raise _not_accepted(what, f"Put it back, or: {remedy_of(dataset)}")
    return [name.removeprefix(_COLUMN) for name in changed]


def _not_accepted(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, code="accept_refused", remedy=remedy)


def _named(dataset: str, changed: Iterable[str]) -> str:
    return ", ".join(f"datasets.{dataset}.{name}" for name in changed)


def _agreement(dataset_state: DatasetState) -> str:
    last = last_of(dataset_state)
    assert last is not None
    return (
        f"what was accepted after batch {last.batch}"
        if dataset_state.accepted
        else f"what batch {last.batch} was delivered with"
    )


def _fixed(dataset: str, wanted: Source, changed: Iterable[str]) -> list[str]:
    """The changes that only a rerun confirms: all but columns outside of the row key, the natural key and the event time."""
    contract = DATASETS[dataset]
    fixed = {*contract.key, *wanted.natural_key}
    if not contract.append_only:
        fixed.add(contract.event_time)
    free = {f"{_COLUMN}{field.name}" for field in contract.fields if field.name not in fixed}
    return [name for name in changed if name not in free]


def first_step(dataset: Dataset, start: str | int, state: TableState) -> Step:
    """The step that enables a dataset.

    ``state`` must reach back to the version that ``start`` names. Raises ConfigError where there is none such yet.
    """
    latest = state.latest.version
    if dataset.snapshot:
        return Step("snapshot", 1, None, latest)
    first = first_version(f"datasets.{dataset.name}.start", start, state)
    return Step("enable" if first is None else "changes", 1, first, latest)


def next_step(dataset_state: DatasetState, outstanding: int | None, latest: int) -> Step | None:
    """What is due after ``dataset_state.last``, or None.

    ``outstanding`` is the newest version of the table last delivered from, or None where its changes cannot be read
    any more; ``latest`` that of the table a snapshot would read (the same one, unless a rerun changes the table).
    """
    last = last_of(dataset_state)
    if last is None:
        raise ValueError("a dataset is enabled by first_step")
    if dataset_state.rerun and not last.definition.snapshot:
        return Step("lost", last.epoch, last.to_version + 1, latest)
    if dataset_state.rerun and (
        dataset_state.settled or (outstanding is not None and outstanding <= last.to_version)
    ):
        return Step("snapshot", last.epoch + 1, None, latest)
    if outstanding is None:
        return Step("lost", last.epoch, last.to_version + 1, latest)
    if outstanding > last.to_version:
        return Step("changes", last.epoch, last.to_version + 1, outstanding)
    return None


def plan_batch(
    step: Step,
    settings: Settings,
    dataset: str,
    dataset_state: DatasetState,
    source: Source,
    state: TableState,
    *,
    now: int,
    source_rows: int,
    records: int,
    inserts_only: bool,
    layout: Layout,
) -> BatchPlan:
    """Pins a step. ``records`` estimates how many will be delivered: the number of chunks of a hash layout follows from it."""
    first = step.to_version if step.phase != "changes" or step.from_version is None else step.from_version
    files = settings.files
    return BatchPlan(
        export=settings.name,
        dataset=dataset,
        epoch=step.epoch,
        seq=dataset_state.seq + 1,
        phase=step.phase,
        instant=max(now, dataset_state.instant + 1),
        from_version=step.from_version,
        to_version=step.to_version,
        table_id=state.table_id,
        commits=tuple(row for row in state.rows if first <= row.version <= step.to_version),
        source=source,
        files=Files(
            chunks=max(1, len(layout.files) or ceil(records / files.target_records)),
            max_bytes=files.max_bytes,
            max_record_bytes=files.max_record_bytes,
            compression_level=files.compression_level,
            layout="files" if layout.files else "hash",
            why=layout.why,
            max_records=files.target_records if layout.files else 0,
            raw_rows=layout.raw,
        ),
        destination=settings.destination,
        source_rows=source_rows,
        inserts_only=inserts_only,
        floors=dataset_state.floors,
        aborted=dataset_state.aborted,
        text=Text(**settings.text.model_dump()),
        manifests=None
        if step.phase in {"enable", "lost"}
        else Manifests.at(settings.manifests_at, settings.manifests.formats, dataset_state.manifest),
    )
