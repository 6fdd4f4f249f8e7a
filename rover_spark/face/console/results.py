"""A command's result as a person reads it. Writes to the console it is given."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from rover_spark.audit.found import Verified
from rover_spark.face.console import hanging, plain, problems
from rover_spark.face.console.tables import (
    batches_table,
    breaches_table,
    checks_table,
    held_table,
    loaded_table,
    quarantine_table,
    quarantined_row,
    schemas_table,
    status_table,
)
from rover_spark.face.results import (
    AcceptResult,
    CheckResult,
    ConformResult,
    DdlResult,
    DemoResult,
    LoadResult,
    PlanResult,
    QuarantineResult,
    RerunResult,
    Result,
    SchemasResult,
    StatusResult,
    SweepResult,
    VerifyResult,
)
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.quarantine import Quarantine
from rover_spark.model.wording import counted, size


def show(console: Console, result: Result) -> None:
    """A command's result: what only it found, its problems, and one word where there are none."""
    match result:
        case DdlResult():
            console.file.write(result.text)  # a script, to be run as it is
            return None
        case CheckResult():
            return _check(console, result)
        case QuarantineResult():
            return _quarantine(console, result.quarantine)
        case ConformResult():
            return _conform(console, result)
        case LoadResult():
            _load(console, result)
        case SchemasResult():
            return _schemas(console, result)
        case StatusResult():
            _status(console, result)
        case VerifyResult():
            _verified(console, result.verified)
        case SweepResult():
            for reference in result.removed:
                _out(console, Text.assemble("removed ", plain(reference)))
        case RerunResult():
            what = "the next export delivers the outstanding changes, then begins anew"
            console.print(plain(f"{result.dataset}: {what}"))
        case AcceptResult():
            columns = ", ".join(result.columns)
            what = f"columns accepted: {columns}; they count from the next batch on"
            console.print(plain(f"{result.dataset}: {what}"))
        case PlanResult():
            _plan(console, result)
        case DemoResult():
            pass  # each of its steps was shown when it ended
        case _:
            if result.batches:
                batches(console, result.batches)
    problems(console, result.problems, color="yellow" if result.ok else "red")
    if not result.problems or result.result == "nothing to do":
        word = "all of it is as the ledger says" if isinstance(result, VerifyResult) else result.result
        console.print(plain(word))


def batches(console: Console, records: tuple[BatchRecord, ...], *, planned: bool = False) -> None:
    """Batches, and below them what an operator should notice."""
    _out(console, batches_table(records, console.width, planned=planned))
    for batch in records:
        noticed = "; ".join(batch.plan.remarks(batch.counts)) if batch.plan else ""
        for remark in filter(None, (batch.note, noticed)):
            for line in hanging(plain(f"{batch.batch}: {remark}"), console.width):
                _out(console, line)


def _plan(console: Console, result: PlanResult) -> None:
    if result.batches:
        batches(console, result.batches, planned=True)
    for dataset, columns in result.accepted.items():
        console.print(plain(f"{dataset}: columns accepted: {', '.join(columns)}"))


def _status(console: Console, result: StatusResult) -> None:
    _out(console, status_table(result.datasets, console.width))
    if result.batches:
        console.print()
        _out(console, batches_table(result.batches, console.width))


def _verified(console: Console, done: Verified) -> None:
    read = f"{counted(done.files, 'file')}, {counted(done.records, 'record')}, {size(done.bytes)}"
    console.print(plain(f"{read} read back from the bucket"))
    if done.elsewhere:
        were = "was" if done.elsewhere == 1 else "were"
        console.print(
            f"{counted(done.elsewhere, 'file')} {were} delivered to an earlier destination: not read"
        )


def _conform(console: Console, result: ConformResult) -> None:
    if result.datasets:
        _out(console, held_table(result.datasets, console.width))
    if result.breaches:
        _out(console, breaches_table(result.breaches, console.width))
    if result.notices:
        _out(console, breaches_table(result.notices, console.width, "bold"))
    beside = [(result.manifests, "manifest", "was read", "were read")]
    beside.append((result.others, "object", "is no part of an export", "are no part of an export"))
    uncompared = sum(each.uncompared for each in result.datasets)
    has, have = (
        f"{word} the id of another one and {be} not compared"
        for word, be in (("has", "was"), ("have", "were"))
    )
    beside.append((uncompared, "record", has, have))
    for count, what, is_, are in beside:
        if count:
            console.print(plain(f"{counted(count, what)} {is_ if count == 1 else are}"))
    if not result.datasets:
        console.print("no files of a contract are there")
    elif result.ok:
        console.print(f"all {'else' if uncompared else 'of it'} is as the contract says")


def _load(console: Console, result: LoadResult) -> None:
    if result.datasets:
        _out(console, loaded_table(result.datasets, console.width))
    waiting = [(result.waiting, "batch waits for its files", "batches wait for their files")]
    waiting.append((result.unnamed, "file waits for its manifest", "files wait for their manifest"))
    waiting.append(
        (result.strays, "object has no key of the contract", "objects have no key of the contract")
    )
    for count, one, many in waiting:
        if count:
            console.print(plain(f"{count:,} {one if count == 1 else many}"))


def _schemas(console: Console, result: SchemasResult) -> None:
    if not result.schemas:
        console.print("no schemas yet: the first export gives them")
        return
    _out(console, schemas_table(result.schemas, console.width))
    for key in result.published or ():
        _out(console, Text.assemble("put ", plain(key)))
    if result.place is not None:
        _out(console, Text.assemble("all of it in ", plain(result.place)))


def _check(console: Console, result: CheckResult) -> None:
    _out(console, checks_table(result.checks, console.width))
    console.print("no obstacle found" if result.ok else "delivery would fail")


def _quarantine(console: Console, found: Quarantine) -> None:
    if not found.total:
        console.print("no rows in quarantine")
        return
    _out(console, quarantine_table(found.reasons, console.width))
    console.print()
    for row in found.rows:
        _out(console, quarantined_row(row, console.width if console.is_terminal else None))
    shown = len(found.rows)
    newest = "" if shown == found.total else f", the newest {shown:,} here"
    console.print(plain(f"{counted(found.total, 'row')} in quarantine{newest}; all of it in"))
    _out(console, plain(found.place))


def _out(console: Console, text: Text) -> None:
    """Prints lines that fit already, or that are one thing to copy: never wrapped."""
    console.print(text, soft_wrap=True)
