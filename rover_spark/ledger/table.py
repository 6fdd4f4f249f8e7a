"""The ledger: one Delta table of batches and files, in which every state change of a batch is one atomic commit.

Promises that of two drivers that record the same transition one wins and the other gets a LedgerConflict: the txn
(appId = export and dataset, version = transition number) is a compare-and-swap, the commit is looked for after
writing, and on a local path, where Delta's log store is not exclusive, a file lock is held around both. Refuses a
ledger of a newer format. Decides nothing.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameWriter, Window
from pyspark.sql import functions as F

from rover_spark.config.access import TableAccess
from rover_spark.delta.frames import local_rows
from rover_spark.delta.names import quoted
from rover_spark.delta.place import loaded, saved
from rover_spark.delta.session import Session
from rover_spark.errors import ConfigError, LedgerConflict
from rover_spark.ledger.lease import leased, lock_beside, locked
from rover_spark.ledger.rows import (
    BATCH_COLUMNS,
    COLUMNS,
    FORMAT,
    FORMAT_KEY,
    NAMES,
    PUBLISHED,
    file_of,
    published_among,
    published_row,
    record_of,
    schema_of,
    schema_rows,
)
from rover_spark.model.dataset_state import (
    ACCEPTED,
    FLOORS,
    REDELIVERED,
    RERUN,
    Accepted,
    BatchRecord,
    DatasetState,
    State,
    Transition,
    fold,
)
from rover_spark.model.file import StagedFile
from rover_spark.model.plan import Plan
from rover_spark.model.schema import RegisteredSchema

_LOG = logging.getLogger("rover_spark")
_RECENT = 6
_ABSENT = ("NOT_FOUND", "MISSING", "not a Delta table", "NOT_EXIST", "REQUIRES_SINGLE_PART_NAMESPACE")
_COMPACT_EVERY = 100
_LOOKED_AT = 100  # newest commits among which a driver looks for its own: others commit meanwhile


class Ledger:
    """The ledger of one export. Reads are of the newest version; every write is one commit."""

    def __init__(
        self,
        session: Session,
        location: str,
        export: str,
        decode: Callable[[str], Plan],
        access: TableAccess | None = None,
    ) -> None:
        """``decode`` gives the plan back from the text in a row; ``access`` says how a table by path is reached."""
        self._decode = decode
        self._session = session
        self._access = access or TableAccess()
        self._location = location
        self.export = export
        self._exists = False
        self._lock: Path | None = None

    def open(self, *, create: bool) -> None:
        """Finds the table, or makes it. Raises ConfigError where it was written by a newer format."""
        if self._exists:
            return
        detail = self._detail()
        if detail is None:
            self._require_schema()
        if detail is None and create:
            with locked(lock_beside(self._location)):
                self._session.spark.sql(
                    f"CREATE TABLE IF NOT EXISTS {quoted(self._location)} ({COLUMNS}) USING delta "
                    f"PARTITIONED BY (kind) TBLPROPERTIES ('{FORMAT_KEY}' = '{FORMAT}', "
                    "'delta.checkpointInterval' = '50', 'delta.dataSkippingNumIndexedCols' = '0')"
                )
            detail = self._detail()
        if detail is None:
            return
        found = detail["properties"].get(FORMAT_KEY)
        if found is None or not found.isdigit():
            raise ConfigError(
                f"ledger: {self._location} is a Delta table, but not a ledger of rover_spark",
                code="ledger_foreign",
                remedy="Name another place for the ledger; it is made on the first export.",
            )
        if int(found) > FORMAT:
            raise ConfigError(
                f"ledger: {self._location} has format {found}; this version knows {FORMAT}",
                code="ledger_newer",
                remedy="Run the newer rover_spark that wrote it.",
            )
        self._exists = True
        self._lock = lock_beside(detail["location"]) if detail["location"].startswith("file:") else None

    @property
    def exists(self) -> bool:
        """Whether ``open`` found or made the table."""
        return self._exists

    def _detail(self) -> dict[str, Any] | None:
        try:
            row = (
                self._session.spark.sql(f"DESCRIBE DETAIL {quoted(self._location)}")
                .select("location", "properties")
                .collect()[0]
            )
        except PySparkException as error:
            if any(word in str(error) for word in _ABSENT):
                return None
            raise
        return row.asDict()

    def _require_schema(self) -> None:
        """Raises ConfigError where a table of the catalog has no schema to be made in."""
        schema = "" if "/" in self._location else self._location.rpartition(".")[0]
        try:
            there = not schema or self._session.spark.catalog.databaseExists(schema)
        except PySparkException:
            there = False  # no such catalog
        if not there:
            raise ConfigError(
                f"ledger: {self._location}: there is no schema {schema}",
                code="ledger_missing",
                remedy=f"CREATE SCHEMA {quoted(schema)}, or name another place: a schema of a catalog, or a path.",
            )

    def exclusive(self) -> AbstractContextManager[None]:
        """Keeps other drivers on this machine from writing while the block runs, where a lock can."""
        return locked(self._lock)

    def delivering(self, dataset: str, command: str = "export") -> AbstractContextManager[None]:
        """Keeps other drivers on this machine from delivering the dataset while the block runs, where a lock can.

        Raises:
            DatasetBusy: another driver is at it.
        """
        name = f"{self.export}.{dataset}"
        return leased(self._lock and self._lock.with_suffix(f".{name}.lock"), dataset, command)

    def beside(self, suffix: str) -> str:
        """The location of a table beside the ledger."""
        return f"{self._location}_{suffix}"

    def frame(self) -> DataFrame:
        """All rows of this export."""
        table = loaded(self._session.spark.read.format("delta"), self._location)
        return table.where(F.col("export") == self.export)

    # -- reading ---------------------------------------------------------------------------------------------------

    def transitions(self) -> list[Transition]:
        """The transitions that dataset states are folded from, in order: of long histories only those that still count."""
        if not self._exists:
            return []
        each = Window.partitionBy("dataset")
        delivered = F.col("state").isin("COMMITTED", "LOST")
        floors = F.get_json_object("counts", "$.floors").cast("bigint") > 0
        rows = self.frame().where("kind = 'batch'").select(*BATCH_COLUMNS)
        counting = (
            (F.col("seq") > F.max("seq").over(each) - _RECENT)
            | (F.col("transition") == F.max("transition").over(each))
            | (F.col("seq") == F.max(F.when(delivered, F.col("seq"))).over(each))
            | (F.col("transition") == F.min(F.when(delivered & floors, F.col("transition"))).over(each))
            | F.col("state").isin(RERUN, ACCEPTED, "ABORTED")
            | F.col("phase").isin("snapshot", "lost")
        )
        kept = rows.withColumn("counting", counting).where("counting").collect()
        plans = {row["batch"]: self._decode(row["plan"]) for row in kept if row["plan"]}
        found = [
            Transition(
                row["dataset"], row["transition"], row["state"], record_of(row, plans.get(row["batch"]))
            )
            for row in kept
        ]
        return sorted(found, key=lambda each: (each.dataset, each.transition))

    def dataset_states(self, transitions: Iterable[Transition] | None = None) -> dict[str, DatasetState]:
        """The dataset state of every dataset that the ledger knows."""
        return fold(self.transitions() if transitions is None else transitions)

    def batches(self, *names: str) -> list[BatchRecord]:
        """Whole records, files included, of the batches named, or of all; in order of dataset and seq."""
        if not self._exists:
            return []
        rows, published = self.frame(), F.col("kind") == PUBLISHED
        if names:
            rows = rows.where(F.col("batch").isin(*names) | (published & F.col("key").isin(*names)))
        found: dict[str, BatchRecord] = {}
        files: dict[str, list[tuple[int, StagedFile]]] = {}
        visible: dict[str, list[Any]] = {}
        counting = published | F.expr("batch is not null AND kind <> 'schema'")
        for row in sorted(rows.where(counting).collect(), key=lambda row: row["transition"]):
            if row["kind"] == PUBLISHED:
                visible.setdefault(row["key"], []).append(row)
                continue
            if row["kind"] == "file":
                files.setdefault(row["batch"], []).append((row["transition"], file_of(row)))
                continue
            plan = self._decode(row["plan"]) if row["plan"] else None
            before, now = found.get(row["batch"]), record_of(row, plan)
            found[row["batch"]] = replace(
                now,
                plan=now.plan or (before.plan if before else None),
                counts=now.counts or (before.counts if before else {}),
                floors=now.floors or (before.floors if before else 0),
            )
        for name, rows_of in files.items():
            newest = max(transition for transition, _ in rows_of)
            chosen = sorted((f for t, f in rows_of if t == newest), key=lambda file: (file.chunk, file.part))
            known = published_among(chosen, visible.get(name, ()))
            found[name] = replace(found[name], files=tuple(chosen), published=known)
        return sorted(found.values(), key=lambda record: (record.dataset, record.seq))

    def quarantined(self) -> dict[str, int]:
        """How many rows each dataset's delivered batches quarantined; datasets without any are left out."""
        if not self._exists:
            return {}
        # few of ten thousand batches have rows in the quarantine: a look at the text finds them, and only they are parsed
        delivered = f"kind = 'batch' AND state = 'COMMITTED' AND coalesce(note, '') <> '{REDELIVERED}'"
        some = """counts RLIKE '"quarantined": [1-9]'"""
        rows = self.frame().where(delivered).where(some).select("dataset", "counts").collect()
        found: Counter[str] = Counter()
        for row in rows:
            found[row["dataset"]] += json.loads(row["counts"])["quarantined"]
        return dict(found)

    def schemas(self) -> list[RegisteredSchema]:
        """The schema registry, in order of the ids. An aborted batch's ids stay taken."""
        if not self._exists:
            return []
        rows = self.frame().where("kind = 'schema'").collect()
        return sorted((schema_of(row) for row in rows), key=lambda each: each.id)

    # -- writing ---------------------------------------------------------------------------------------------------

    def record(
        self,
        dataset_state: DatasetState,
        plan: Plan,
        state: State,
        *,
        counts: dict[str, int] | None = None,
        floors: int = 0,
        files: Sequence[StagedFile] = (),
        note: str | None = None,
    ) -> DatasetState:
        """Records one transition of a batch, all of its file rows with it; the dataset state with the transition taken.

        Raises:
            LedgerConflict: another driver took this transition.
        """
        number = dataset_state.transition + 1
        common = {
            "export": self.export,
            "dataset": plan.dataset,
            "transition": number,
            "state": state,
            "batch": plan.batch,
        }
        pinned = state in {"PLANNED", "LOST"} or plan.phase == "enable"
        batch = {
            **common,
            "kind": "batch",
            "epoch": plan.epoch,
            "seq": plan.seq,
            "phase": plan.phase,
            "instant": plan.instant,
            "plan": plan.to_json() if pinned else None,
            "counts": None if counts is None else json.dumps({**counts, FLOORS: floors}),
            "note": note,
        }
        rows = [batch, *({**common, "kind": "file", **vars(file)} for file in files)]
        self._append(plan.dataset, number, [*rows, *(schema_rows(plan, common) if pinned else ())])
        return replace(dataset_state, transition=number, floors=dataset_state.floors or floors > 0)

    def record_published(self, dataset_state: DatasetState, plan: Plan, files: Sequence[StagedFile]) -> None:
        """Records that these files of a STAGED batch are visible, in one commit that takes no transition.

        No other driver can contradict that, so it needs no compare-and-swap. Where the commit is lost, the files are
        published again.
        """
        writer = self._writer([published_row(dataset_state, plan, files)])
        try:
            with self.exclusive():
                saved(writer, self._location)
        except (PySparkException, Py4JJavaError) as error:
            _LOG.warning(
                "%s: %d published files are not recorded yet: %s",
                plan.batch,
                len(files),
                type(error).__name__,
            )

    def request_rerun(self, dataset_state: DatasetState, dataset: str) -> DatasetState:
        """Records that the operator asks for a rerun."""
        return replace(self._record(dataset_state, dataset, RERUN), rerun=True, settled=False)

    def accept(self, dataset_state: DatasetState, dataset: str, columns: dict[str, str]) -> DatasetState:
        """Records that the operator confirms these columns, of every batch planned from now on."""
        accepted = Accepted(columns, dataset_state.seq)
        return replace(self._record(dataset_state, dataset, ACCEPTED, accepted.to_json()), accepted=accepted)

    def _record(
        self, dataset_state: DatasetState, dataset: str, state: str, note: str | None = None
    ) -> DatasetState:
        """A transition of a dataset that is not one of a batch."""
        number = dataset_state.transition + 1
        row = {"kind": "batch", "export": self.export, "dataset": dataset, "transition": number}
        self._append(dataset, number, [{**row, "state": state, "note": note}])
        return replace(dataset_state, transition=number)

    def _append(self, dataset: str, number: int, rows: Iterable[dict[str, Any]]) -> None:
        # marks this commit: another driver's may be equal to it
        mark = uuid.uuid4().hex  # noqa: TID251 - names this attempt only, never a key or a record
        writer = (
            self._writer(rows)
            .option("txnAppId", f"rover_spark/{self.export}/{dataset}")
            .option("txnVersion", number)
            .option("userMetadata", mark)
        )
        failure: Exception | None = None
        with self.exclusive():
            try:
                saved(writer, self._location)
            except (PySparkException, Py4JJavaError) as error:
                failure = error
        if self._holds(mark):
            if number % _COMPACT_EVERY == 0:
                self._compact()
            return
        if failure is not None and "Concurrent" not in str(failure) and "CONCURRENT" not in str(failure):
            raise failure
        raise LedgerConflict(
            f"{dataset}: another run recorded transition {number} in the ledger first",
            code="ledger_conflict",
            remedy="Nothing is lost: that run goes on with it. Run again when it has ended.",
        )

    def _writer(self, rows: Iterable[dict[str, Any]]) -> DataFrameWriter:
        values = [tuple(row.get(name) for name in NAMES) for row in rows]
        return local_rows(self._session.spark, values, COLUMNS).write.format("delta").mode("append")

    def _compact(self) -> None:
        """Few large files instead of one or two a transition: after ten thousand batches reading stays quick."""
        # what this one cannot do, the next one does
        with self.exclusive(), suppress(PySparkException, Py4JJavaError):
            self._session.spark.sql(f"OPTIMIZE {quoted(self._location)}")

    def _holds(self, mark: str) -> bool:
        history = self._session.spark.sql(f"DESCRIBE HISTORY {quoted(self._location)} LIMIT {_LOOKED_AT}")
        return bool(history.where(F.col("userMetadata") == mark).select("version").collect())
