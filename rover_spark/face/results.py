"""What each command gives, as a frozen value. Loads no Spark.

All have what ``Result`` has. A further field holds what only that command finds; the JSON document has it under the
same name.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rover_spark.audit.found import DatasetStatus, Finding, Verified
from rover_spark.consume.conform.report import Breach, HeldDataset
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.load.report import LoadedDataset
from rover_spark.errors import Problem
from rover_spark.face.document import document
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.quarantine import Quarantine
from rover_spark.model.schema import RegisteredSchema

_FILE = "-c FILE"  # as remedies name a configuration file that they do not know
R = TypeVar("R", bound="Result")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command did. ``result`` is one word for it; ``ok`` is False where the command line exits with 1."""

    command: str
    result: str = "done"
    ok: bool = True
    batches: tuple[BatchRecord, ...] = ()
    problems: tuple[Problem, ...] = ()

    def document(self) -> dict[str, Any]:
        """The JSON document of ``--json``."""
        return document(self)

    def naming(self: R, file: str) -> R:
        """The same, with this configuration file in each remedy that says ``-c FILE``."""
        return replace(self, problems=tuple(named(each, file) for each in self.problems))


@dataclass(frozen=True, kw_only=True)
class ExportResult(Result):
    """The batches that were delivered."""

    command: str = "export"


@dataclass(frozen=True)
class PlannedRows:
    """How much a planned batch reads, into how many chunks it is cut, and what a chunk is, with the reason."""

    source_rows: int
    chunks: int
    arrangement: str


@dataclass(frozen=True, kw_only=True)
class PlanResult(Result):
    """What ``export`` would deliver: ``planned`` by batch, and by dataset the columns that count from then on."""

    command: str = "plan"
    planned: Mapping[str, PlannedRows]
    accepted: Mapping[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class RerunResult(Result):
    """The dataset whose rerun the next export delivers."""

    command: str = "rerun"
    dataset: str


@dataclass(frozen=True, kw_only=True)
class AcceptResult(Result):
    """The columns of a dataset that the operator confirmed."""

    command: str = "accept"
    dataset: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RedeliverResult(Result):
    """The batch that was delivered again."""

    command: str = "redeliver"


@dataclass(frozen=True, kw_only=True)
class StatusResult(Result):
    """The state of each dataset; ``batches`` are the last ones of each."""

    command: str = "status"
    datasets: tuple[DatasetStatus, ...]

    def naming(self: StatusResult, file: str) -> StatusResult:
        """The same for the problems of each dataset."""
        datasets = (
            replace(
                each,
                problem=named(each.problem, file) if each.problem else None,
                waits=named(each.waits, file) if each.waits else None,
            )
            for each in self.datasets
        )
        return replace(super().naming(file), datasets=tuple(datasets))


@dataclass(frozen=True, kw_only=True)
class QuarantineResult(Result):
    """The rows that could not be delivered."""

    command: str = "quarantine"
    quarantine: Quarantine


@dataclass(frozen=True, kw_only=True)
class SchemasResult(Result):
    """The registered schemas; where they were published, the place and the keys of the pages there."""

    command: str = "schemas"
    schemas: tuple[RegisteredSchema, ...]
    place: str | None = None
    published: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class VerifyResult(Result):
    """How much was read back from the bucket; ``problems`` lists what differs."""

    command: str = "verify"
    verified: Verified


@dataclass(frozen=True, kw_only=True)
class CheckResult(Result):
    """Every try, in order; ``problems`` are those that failed."""

    command: str = "check"
    checks: tuple[Finding, ...]

    def naming(self: CheckResult, file: str) -> CheckResult:
        """The same for what was found and what to do about it."""
        checks = (
            replace(each, found=_naming(each.found, file), remedy=_naming(each.remedy, file))
            for each in self.checks
        )
        return replace(super().naming(file), checks=tuple(checks))


@dataclass(frozen=True, kw_only=True)
class SweepResult(Result):
    """References of the staged objects that were ``removed``; ``left`` says what the store's rights leave in place."""

    command: str = "sweep"
    removed: tuple[str, ...]
    left: str


@dataclass(frozen=True, kw_only=True)
class ConformResult(Result):
    """What a place holds, by dataset or event type, and every breach of the contract there.

    ``manifests`` were read; ``others`` counts objects of which the contracts do not speak; ``notices`` break no contract.
    """

    command: str = "conform"
    place: str
    datasets: tuple[HeldDataset, ...]
    breaches: tuple[Breach, ...]
    manifests: int
    others: int
    notices: tuple[Breach, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DdlResult(Result):
    """The statements for a warehouse, or data contracts, in order; ``text`` is all of it as one script."""

    command: str = "ddl"
    engine: str
    statements: tuple[Statement, ...]

    @property
    def text(self) -> str:
        """One script, with remarks; or one YAML stream."""
        from rover_spark.consume.ddl import odcs, script
        from rover_spark.consume.ddl.engines import ENGINES

        if self.engine == odcs.NAME:
            return odcs.text(self.statements)
        return script.text(ENGINES[self.engine], self.statements)


@dataclass(frozen=True, kw_only=True)
class LoadResult(Result):
    """What was loaded from a place into a DuckDB file or Delta tables, by dataset or event type.

    ``manifests`` counts batches that are complete and loaded, ``waiting`` those that are not complete, ``unnamed`` files that
    wait for their manifest, ``quarantined`` the lines, objects and manifests that were refused, ``strays`` objects among the files
    that have no key of the contract.
    """

    command: str = "load"
    engine: str
    into: str
    place: str
    datasets: tuple[LoadedDataset, ...]
    manifests: int
    waiting: int
    unnamed: int
    quarantined: int
    strays: int


@dataclass(frozen=True, kw_only=True)
class DemoResult(Result):
    """Both buckets of the sample company as they were read back, and where to find it."""

    command: str = "demo"
    verified: Verified
    currents: Verified
    directory: str
    config: str


def named(problem: Problem, file: str) -> Problem:
    """The problem with this configuration file in place of ``FILE``: what to do can be pasted unchanged."""
    return replace(problem, message=_naming(problem.message, file), remedy=_naming(problem.remedy, file))


def _naming(text: str, file: str) -> str:
    return text.replace(_FILE, f"-c {shlex.quote(file)}")
