"""Compares the bucket with the ledger: reads every object that the ledger names, writes nothing.

Finds a missing object, changed bytes, other text or counts inside, a foreign object where receivers read, and counts
that do not add up; of events also keys, thresholds and offsets that differ from the plan. Completion manifests are
compared byte by byte, too, at the place where they were published. Reads an object in pieces, and at most one byte more
than the ledger says it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial

from rover_spark.audit.found import Verified
from rover_spark.errors import Problem
from rover_spark.model.dataset_state import BY_HAND, BatchRecord
from rover_spark.model.file import StagedFile
from rover_spark.model.manifest import OUTCOMES
from rover_spark.model.plan import Plan
from rover_spark.model.schema import RegisteredSchema
from rover_spark.produce.port import Auditor, Owner, Read, auditor
from rover_spark.store import ObjectInfo, Store, below, prefix_of

_LOOK_FIRST = (
    "First see that `ledger` names the right place: what another ledger delivered, receivers need. Move it away only "
    "once you know who wrote it."
)
_ANOTHER_LEDGER = (
    "See that `ledger` names the right place and was not brought back from an older copy: another one delivered this "
    "file, and receivers may need it. Leave it until you know."
)
_HEAL = "rover-spark redeliver -c FILE --batch {batch} puts the same bytes back while Delta still holds the version."


def verify(
    store: Store,
    batches: Iterable[BatchRecord],
    owner: Owner,
    receives: str,
    *,
    schemas: Mapping[int, RegisteredSchema] | None = None,
    destination: str | None = None,
    open_place: Callable[[str], Store] | None = None,
    notice: Callable[[StagedFile], None] | None = None,
) -> Verified:
    """Compares every COMMITTED file with its object, and every object that receivers read with the ledger.

    ``schemas`` is the registry, by id; ``receives`` the folder below the prefix that receivers read. A file that is not
    there counts as ``elsewhere`` if its batch went to another bucket than ``destination``, today's. ``open_place`` opens the
    place of manifests by its URL; without it they are read from ``store``. Manifests are no part of the counts.
    """
    problems: list[Problem] = []
    known: set[str] = set()
    files = records = size = elsewhere = 0
    auditors = cache(lambda contract: auditor(contract, schemas or {}))
    for batch in batches:
        known.update(file.key for file in batch.files)
        if batch.state != "COMMITTED":
            continue
        if batch.plan is None:
            problems.append(Problem("plan_missing", f"{batch.batch}: its plan is not in the ledger", BY_HAND))
            continue
        mine: Auditor = auditors(batch.plan.contract)
        problems += [*_counts(batch), *mine.problems(batch)]
        for file in batch.files:
            found = _file(store, file, batch, partial(mine.content, batch, file))
            if found and found.code == "object_missing" and _moved(batch.plan, destination):
                elsewhere += 1
                continue
            problems += [found] if found else []
            files, records, size = files + 1, records + file.records, size + file.bytes
            if notice is not None:
                notice(file)
        if not _moved(batch.plan, destination):
            problems += _completion(batch, store, open_place)
    for each in sorted(store.listing(below(store.prefix, receives, "")), key=lambda info: info.key):
        if each.key not in known:
            problems.append(_foreign(each, owner.batch_of(each.key)))
    return Verified(files, records, size, elsewhere, tuple(problems))


def _completion(batch: BatchRecord, store: Store, open_place: Callable[[str], Store] | None) -> list[Problem]:
    """What differs of a batch's completion manifest. Its bytes say all: there is nothing inside to be looked at."""
    pinned = batch.plan.manifests if batch.plan else None
    if pinned is not None and open_place is not None and batch.completion:
        store = open_place(pinned.place)
    found = (_file(store, file, batch, lambda _: None) for file in batch.completion)
    return [each for each in found if each is not None]


def _foreign(found: ObjectInfo, batch: str | None) -> Problem:
    """An object that no batch wrote. Where its key names a ``batch`` of this export, another ledger may have delivered it."""
    if batch is None:
        what = f"no batch of the ledger wrote this object ({found.bytes} bytes)"
        return Problem("object_foreign", f"{found.key}: {what}", _LOOK_FIRST)
    what = (
        f"is a file of batch {batch} of this export, but not one that this ledger knows ({found.bytes} bytes)"
    )
    return Problem("object_foreign", f"{found.key}: {what}", _ANOTHER_LEDGER)


def _moved(plan: Plan | None, destination: str | None) -> bool:
    """Whether a batch went into another bucket, or directory, than ``destination`` names; another prefix does not count."""
    if plan is None or destination is None:
        return False
    before, today = (url.removesuffix(prefix_of(url)).rstrip("/") for url in (plan.destination, destination))
    return before != today


def _counts(batch: BatchRecord) -> list[Problem]:
    counts = batch.counts
    accounted = sum(counts.get(outcome, 0) for outcome in OUTCOMES)
    held = sum(file.records for file in batch.files)
    if counts.get("read", 0) == accounted and counts.get("delivered", 0) == held:
        return []
    message = (
        f"{batch.batch}: read {counts.get('read')}, accounted for {accounted}; {held} records in its files"
    )
    return [Problem("counts_differ", message, BY_HAND)]


def _file(
    store: Store, file: StagedFile, batch: BatchRecord, content: Callable[[Read], str | None]
) -> Problem | None:
    def problem(code: str, what: str) -> Problem:
        return Problem(code, f"{file.key}: {what}", _HEAL.format(batch=batch.batch))

    packed, taken = hashlib.sha256(), 0
    try:
        with store.read(file.key) as stream:
            # one byte more than the ledger names is enough to see that it differs
            while block := stream.read(min(1 << 20, file.bytes + 1 - taken)):
                packed.update(block)
                taken += len(block)
        if taken != file.bytes:
            return problem("object_changed", f"has another size than the {file.bytes} bytes delivered")
        if packed.hexdigest() != file.sha256:
            return problem("object_changed", "its bytes are not those delivered")
        wrong = content(lambda: store.read(file.key))
    except FileNotFoundError:
        return problem("object_missing", "is not in the bucket")
    except OSError as error:
        return problem("object_unreadable", f"cannot be read: {error.strerror}")
    except ValueError as error:
        return problem("object_changed", str(error))
    return problem("object_changed", wrong) if wrong else None
