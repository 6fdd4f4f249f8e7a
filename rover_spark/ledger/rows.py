"""The ledger's columns, and what its rows represent: batches, files, schemas. Nothing is read or written here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rover_spark.contract.manifests import Previous
from rover_spark.model.dataset_state import FLOORS, BatchRecord, DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.model.plan import Plan
from rover_spark.model.schema import RegisteredSchema

FORMAT = 1
FORMAT_KEY = "rover_spark.format"
COLUMNS = (
    "kind STRING, export STRING, dataset STRING, transition BIGINT, state STRING, batch STRING, epoch INT, seq BIGINT, "
    "phase STRING, instant BIGINT, plan STRING, counts STRING, note STRING, "
    "key STRING, records BIGINT, bytes BIGINT, sha256 STRING, raw_bytes BIGINT, raw_sha256 STRING, "
    "chunk INT, part INT, staged STRING"
)
NAMES = tuple(column.split()[0] for column in COLUMNS.split(", "))
BATCH_COLUMNS = NAMES[2 : NAMES.index("key")]
PUBLISHED, JOURNAL, COMPLETION = "published", "journal", "completion"


def record_of(row: Any, plan: Plan | None) -> BatchRecord:
    """A batch from its row; another row holds the plan where the batch went on."""
    counts = json.loads(row["counts"]) if row["counts"] else {}
    return BatchRecord(
        batch=row["batch"] or "",
        dataset=row["dataset"],
        epoch=row["epoch"] or 0,
        seq=row["seq"] or 0,
        phase=row["phase"] or "",
        state=row["state"],
        instant=row["instant"] or 0,
        floors=counts.pop(FLOORS, 0),
        counts=counts,
        note=row["note"],
        plan=plan,
    )


def manifests_of(rows: Iterable[Any]) -> dict[tuple[str, int], Previous]:
    """By dataset and transition the manifest that rows of kind ``completion`` name: the last of its objects to be published."""
    ordered = sorted(rows, key=lambda row: row["part"])
    return {(row["dataset"], row["transition"]): Previous(row["key"], row["sha256"]) for row in ordered}


def file_of(row: Any) -> StagedFile:
    """A file from its row."""
    return StagedFile(**{name: row[name] for name in StagedFile.__dataclass_fields__})


def published_row(dataset_state: DatasetState, plan: Plan, files: Iterable[StagedFile]) -> dict[str, Any]:
    """The row that records files as visible before their batch is COMMITTED.

    ``key`` holds the batch's name, ``note`` the files' hashes by key, ``batch`` is null: versions that do not know this
    kind pass over rows without a batch.
    """
    return {
        "kind": PUBLISHED,
        "export": plan.export,
        "dataset": plan.dataset,
        "transition": dataset_state.transition,
        "state": "STAGED",
        "key": plan.batch,
        "note": json.dumps({file.key: file.sha256 for file in files}),
    }


def published_among(files: Iterable[StagedFile], rows: Iterable[Any]) -> frozenset[str]:
    """The keys of the files that such rows name with the same hash. A file that was staged again may have another."""
    known = {item for row in rows for item in json.loads(row["note"]).items()}
    return frozenset(file.key for file in files if (file.key, file.sha256) in known)


def journal_row(plan: Plan, at: int, versions: Mapping[str, str], texts: Iterable[str]) -> dict[str, Any]:
    """The row that records what tasks of a PLANNED batch staged until ``at``, ms since 1970, with these versions.

    ``key`` holds the batch's name, ``note`` the texts; ``batch`` is null, as in rows of kind ``published``.
    """
    return {
        "kind": JOURNAL,
        "export": plan.export,
        "dataset": plan.dataset,
        "state": "PLANNED",
        "instant": at,
        "key": plan.batch,
        "note": json.dumps({"versions": dict(versions), "staged": list(texts)}),
    }


def journal_of(rows: Iterable[Any], versions: Mapping[str, str] | None = None) -> list[str]:
    """The texts of such rows, or only of those that these versions wrote."""
    notes = [json.loads(row["note"]) for row in rows]
    return [text for note in notes if versions in (None, note["versions"]) for text in note["staged"]]


def schema_rows(plan: Plan, common: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the schemas that a plan registers: ``seq`` holds the id, ``key`` the event type."""
    return [
        {
            **common,
            "kind": "schema",
            "seq": each.id,
            "key": each.event_type,
            "plan": each.text,
            "sha256": each.fingerprint,
            "note": json.dumps(each.changes),
        }
        for each in plan.registers
    ]


def schema_of(row: Any) -> RegisteredSchema:
    """A schema from its row."""
    changes = tuple(json.loads(row["note"]))
    return RegisteredSchema(row["seq"], row["key"], row["plan"], row["sha256"], changes, row["batch"])
