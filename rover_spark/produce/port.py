"""The port to a contract: the only place where "which contract is it?" is answered.

The answer comes from the settings, or from a stored plan. A contract is a folder beside this file and one line in
``_FOLDERS``; every folder has the same files, and this module takes from each file the one name that it needs.

The rest of the package knows a contract by these protocols only: a Producer plans batches and makes their rows, a Cutter
says what a file is, an Owner which objects of a bucket are ours, an Auditor what a delivered file must hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from rover_spark.contract.manifests import Window
from rover_spark.encode.counted import CountedFile
from rover_spark.encode.lines import Lines
from rover_spark.errors import ConfigError, Problem, RunError
from rover_spark.model.dataset_state import BatchRecord, DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.model.plan import Plan
from rover_spark.model.schema import RegisteredSchema
from rover_spark.model.table import TableState

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import DataFrame

    from rover_spark.config.settings import Settings  # executors load this module, and have no TOML reader
    from rover_spark.delta.session import Session
    from rover_spark.ledger.table import Ledger
    from rover_spark.store import Store

_FOLDERS = {
    "rover": "rover_spark.produce.rover",
    "currents": "rover_spark.produce.currents",
}

LOOKED_AT = 50_000  # at most this many objects of a folder are listed before a stream's first batch
Read = Callable[[], AbstractContextManager[BinaryIO]]  # opens one object
Rows = Callable[[Iterable["RecordBatch"]], Iterator["RecordBatch"]]  # runs in a task


# -- rows and files ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """What a boolean or integer column of staged rows says beside their outcome; ``name`` is that of its count.

    ``rows`` counts all rows that have it, ``delivered`` those whose record is delivered, ``highest`` keeps the greatest.
    """

    name: str
    column: str
    how: Literal["rows", "delivered", "highest"] = "delivered"


class Cutter(Protocol):
    """Cuts a batch into files. It is picklable: executors get it."""

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What the rows say beside their outcome."""
        ...

    def begin(
        self, chunk: int, part: int, before: int
    ) -> tuple[str, Callable[[Callable[[bytes], object]], CountedFile]]:
        """The key of a chunk's file number ``part``, after ``before`` records of that chunk, and how to open it on a sink."""
        ...

    def end(self, chunk: int, lines: Lines, start: int, stop: int, records: int, raw_bytes: int) -> int:
        """The row in start..stop before which a file ends that holds so many records and bytes already."""
        ...


@dataclass(frozen=True)
class Beside:
    """Rows for a side table of the ledger, written only if the count named ``when`` is above zero."""

    table: str
    when: str
    rows: Callable[[], DataFrame]


@dataclass(frozen=True)
class Part:
    """What one Spark job stages: (chunk, outcome, id, line, marks …) in file order, one chunk's rows in one partition.

    With ``rows`` the frame has a column ``chunk`` and what else ``rows`` takes: each task gives it the frame's rows, and stages
    what comes back. ``by_id`` says that records of a chunk with one id are neighbours. The job runs inside ``within``.
    ``settled`` counts, by outcome, rows of the source that are not in the frame: they have no record.
    """

    frame: DataFrame
    beside: tuple[Beside, ...] = ()
    rows: Rows | None = None
    by_id: bool = True
    within: Callable[[], AbstractContextManager[None]] = nullcontext
    settled: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """The rows of a batch: its parts, how they are cut, and what turns an engine's errors into ours while they are read.

    ``chunks`` are the only ones that are asked for, None where all are; the parts hold at least their rows, what stands
    beside them is whole. ``at_most`` is how many of the rows that the plan counted a filter may take away: so many fewer may
    arrive. ``resumable`` says that a task holds its chunks whole, so that those of tasks that ended need not be staged again.
    """

    parts: Sequence[Callable[[], Part]]
    cutter: Cutter
    reading: Callable[[], AbstractContextManager[None]]
    chunks: frozenset[int] | None = None
    at_most: int = 0
    resumable: bool = False


# -- one run -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A table that a stream delivers from, under the name of its dataset or event type.

    ``delivered`` is the last version delivered, None where there is none yet.
    """

    name: str
    table: str
    delivered: int | None


@dataclass(frozen=True)
class Tried:
    """What ``check`` finds out about a place: its fields, and for each of its first rows why it would not be delivered.

    The reason is None for a row that would be delivered.
    """

    fields: str
    rows: tuple[str | None, ...]


class Producer(Protocol):
    """One run of one export at one instant (``now``, ms since 1970). Streams are the ledger's names of what it delivers."""

    now: int
    enough: int  # waiting rows that make a file of the size that is aimed at
    encoder: str  # of its files, with its version

    def check(self, stream: str, dataset_state: DatasetState) -> None:
        """Raises ConfigError for what must be mended before any row is read, SourceGap for what cannot be read."""
        ...

    def next_plan(self, stream: str, dataset_state: DatasetState) -> Plan | None:
        """The next batch that is due, or None. Raises SourceGap, SourceChanged, RunError; nothing is staged then."""
        ...

    def confirm(self, plan: Plan) -> None:
        """Raises SourceGap unless the sources still hold the commits that the plan pinned."""
        ...

    def refused(self, stream: str, why: str) -> None:
        """Records that a task could not read as the plan asked: from now on what plans of the stream read is left to Spark."""
        ...

    def unread(self, stream: str, error: RunError) -> None:
        """Records that a stream's changes could not be read, so that a requested rerun may give them up."""
        ...

    def refresh(self) -> None:
        """Forgets what the tables looked like: another driver may have gone further than this run saw."""
        ...

    def release(self, stream: str) -> None:
        """Lets go of what planning kept for the staging of a stream's batch. The run is done with the stream."""
        ...

    def work(self, plan: Plan, chunks: frozenset[int] | None = None) -> Work:
        """The rows of a plan, or at least those of some chunks. The plan alone decides what they are."""
        ...

    def keep_clear(self, keys: Iterable[str]) -> None:
        """Notes keys that an earlier ledger used up: what is planned from now on keeps clear of them."""
        ...

    def places(self, stream: str, dataset_state: DatasetState) -> list[Place]:
        """What the stream delivers from, as today's settings say."""
        ...

    def state(self, place: Place) -> TableState:
        """The table as this run first saw it. Raises ConfigError where there is none."""
        ...

    def look(self, place: Place, dataset_state: DatasetState) -> TableState:
        """The same, its history back to what was delivered. Raises SourceGap where what came after cannot be read."""
        ...

    def agree(self, place: Place, dataset_state: DatasetState) -> None:
        """Raises SourceChanged where today's settings ask for other rows than were delivered."""
        ...

    def try_rows(self, place: Place, rows: int) -> Tried | None:
        """Tries the first rows; None where only that they can be read was tried. Raises ConfigError, RunError."""
        ...

    def accepted(self, dataset_state: DatasetState) -> list[str]:
        """The columns that were accepted, and count from the next batch on."""
        ...

    def refuse_accept(self) -> None:
        """Raises ConfigError if no stream of the contract has columns to confirm."""
        ...

    def accept(self, stream: str, dataset_state: DatasetState) -> tuple[list[str], dict[str, str]]:
        """The columns that the operator confirms without a snapshot, and all columns as they count from now on.

        Raises:
            ConfigError: there is nothing to confirm, or only a rerun confirms it.
        """
        ...

    def refuse_rerun(self, stream: str, *, accept_gap: bool) -> None:
        """Raises ConfigError if the stream does not support this kind of rerun."""
        ...


# -- a bucket ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Earlier:
    """A file in the bucket although the ledger knows no batch of ``about``; ``batch`` where the key says it."""

    about: str
    key: str
    batch: str | None = None

    @property
    def message(self) -> str:
        """The key and whose file it is, as part of a sentence."""
        whose = f"batch {self.batch} of this export" if self.batch else "this integration"
        return f"{self.key} is a file of {whose}"


class Owner(Protocol):
    """Which objects of a bucket are this export's, by their keys alone."""

    @property
    def reads_all(self) -> bool:
        """Whether receivers read everything below the prefix, so that nothing else may be put there."""
        ...

    @property
    def adopted(self) -> tuple[str, str]:
        """What happens to records, and what receivers must know, where a ledger begins anew over files of an earlier one."""
        ...

    def earlier(self, store: Store, stream: str, dataset_state: DatasetState) -> Earlier | None:
        """A file of this export in the bucket of which ``dataset_state`` has no batch, or None."""
        ...

    def batch_of(self, key: str) -> str | None:
        """The batch that delivered a key under this export's name, where the key says it."""
        ...

    def planned(self, key: str, instants: set[tuple[str, int]]) -> bool:
        """Whether a key may be staged by this export; ``instants`` are the streams and whole seconds of its batches."""
        ...


class Auditor(Protocol):
    """What delivered files must be, whatever the bucket holds: takes batches in their order."""

    def problems(self, record: BatchRecord) -> list[Problem]:
        """What of a batch's files cannot be, by the ledger alone."""
        ...

    def content(self, record: BatchRecord, file: StagedFile, read: Read) -> str | None:
        """What is wrong with the content of an object whose bytes are those delivered, or None.

        Raises:
            OSError: the object cannot be read.
            ValueError: its content is broken.
        """
        ...


@dataclass(frozen=True)
class Announced:
    """What the completion manifest of a plan says beside its files; the names are those of ``contract.manifests.Completion``.

    ``folder`` is the dataset, or the name of the integration's folder; ``of_file`` gives a file's event type and schema id.
    """

    folder: str
    window: Window
    columns: tuple[str, ...]
    key: tuple[str, ...]
    event_time: str
    dataset: str | None = None
    event_types: tuple[str, ...] = ()
    of_file: Callable[[str], tuple[str | None, int | None]] = lambda key: (None, None)


class SchemaPages(Protocol):
    """The schemas of an export where receivers can look them up."""

    def place(self) -> str:
        """The URL below which they are put. Raises ConfigError where there is no such place."""
        ...

    def pages(
        self, prefix: str, schemas: Iterable[RegisteredSchema], batches: Iterable[BatchRecord]
    ) -> dict[str, str]:
        """Key → text of every page, of the schemas that delivered batches use; what refers to others comes last."""
        ...


# -- the dispatch ------------------------------------------------------------------------------------------------


def producer(
    session: Session, settings: Settings, ledger: Ledger, now: int, *, asked: bool = False
) -> Producer:
    """The producer of the settings' contract; ``asked`` where the user gave the instant."""
    made: Producer = _file(settings.contract, "producer").producer(
        session, settings, ledger, now, asked=asked
    )
    return made


def decode(text: str) -> Plan:
    """The plan that ``Plan.to_json`` wrote. Version 0.1.0 wrote no contract and no format.

    Raises:
        ConfigError: a newer version wrote it.
    """
    tree = json.loads(text)
    contract = tree.pop("contract", None) or ("currents" if "slices" in tree else "rover")
    format_ = tree.pop("format", 1)
    if contract not in _FOLDERS or format_ > Plan.newest_format:
        raise ConfigError(
            f"ledger: a plan of {tree.get('dataset')} has contract {contract} and format {format_}; this version knows "
            f"{', '.join(_FOLDERS)} and format {Plan.newest_format}",
            code="plan_newer",
            remedy="Run the newer rover_spark that wrote it.",
        )
    plan: Plan = _file(contract, "plan").decode(tree)
    return plan


def owner(settings: Settings) -> Owner:
    """The Owner for the settings' contract: decides which objects belong to this export."""
    made: Owner = _file(settings.contract, "keys").owner(settings)
    return made


def auditor(contract: str, schemas: Mapping[int, RegisteredSchema]) -> Auditor:
    """The auditor of a contract's batches; ``schemas`` is the registry, by id."""
    made: Auditor = _file(contract, "audit").auditor(schemas)
    return made


def announced(plan: Plan) -> Announced:
    """What the completion manifest of a plan says."""
    made: Announced = _file(plan.contract, "completion").announced(plan)
    return made


def moment(instant: int) -> datetime:
    """Milliseconds since 1970 as a UTC datetime."""
    return datetime.fromtimestamp(instant // 1000, timezone.utc) + timedelta(milliseconds=instant % 1000)


def schema_pages(settings: Settings) -> SchemaPages:
    """The pages of the settings' contract. Raises ConfigError where the contract has no schemas."""
    made: SchemaPages = _file(settings.contract, "schemas").pages(settings)
    return made


def _file(contract: str, name: str) -> Any:
    return import_module(f"{_FOLDERS[contract]}.{name}")
