"""What a command did, as a value: what a person is shown, and what ``--json`` prints."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from rover_spark.errors import Problem
from rover_spark.model.head import BatchRecord

_SAID = {"message", "remedy", "found"}  # what this program says itself
_FILE = "-c FILE"  # as remedies name a configuration that they do not know


@dataclass(frozen=True)
class Result:
    """What a command did. ``ok`` is False where it must exit 1; ``more`` holds what only this command has."""

    command: str
    result: str
    ok: bool = True
    batches: tuple[BatchRecord, ...] = ()
    problems: tuple[Problem, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The JSON document of ``--json``."""
        return {
            "command": self.command,
            "result": self.result,
            "batches": [batch_document(batch) for batch in self.batches],
            "problems": [asdict(problem) for problem in self.problems],
            **self.more,
        }

    def naming(self, file: str) -> Result:
        """The same, with this configuration file in each remedy that says ``-c FILE``."""
        return replace(
            self,
            problems=tuple(named(problem, file) for problem in self.problems),
            more=_named_in(self.more, f"-c {shlex.quote(file)}"),
        )


def named(problem: Problem, file: str) -> Problem:
    """The problem with this configuration file in place of ``FILE``: what to do can be pasted as it stands."""
    given = f"-c {shlex.quote(file)}"
    said = {name: getattr(problem, name).replace(_FILE, given) for name in ("message", "remedy")}
    return replace(problem, **said)


def _named_in(told: Any, given: str) -> Any:
    """The same, with the file in what we say ourselves: rows and keys stay as they are."""
    if isinstance(told, dict):
        return {
            name: each.replace(_FILE, given)
            if name in _SAID and isinstance(each, str)
            else _named_in(each, given)
            for name, each in told.items()
        }
    return [_named_in(each, given) for each in told] if isinstance(told, list) else told


def batch_document(record: BatchRecord) -> dict[str, Any]:
    """A batch as ``--json`` prints it."""
    plan = record.plan
    files = [
        {
            name: getattr(file, name)
            for name in ("key", "records", "bytes", "sha256", "raw_bytes", "raw_sha256")
        }
        for file in record.files
    ]
    return {
        "id": record.batch,
        "dataset": record.dataset,
        "epoch": record.epoch,
        "phase": record.phase,
        "state": record.state,
        **(plan.document() if plan else {"from_version": None, "to_version": None}),
        "emitted_at": iso(record.instant),
        "counts": record.counts,
        "files": files,
        "note": record.note,
    }


def iso(instant: int) -> str:
    """Milliseconds since 1970 as ISO 8601, UTC."""
    moment = datetime.fromtimestamp(instant // 1000, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant % 1000:03d}Z"
