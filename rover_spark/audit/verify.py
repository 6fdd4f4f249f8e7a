"""The bucket held against the ledger, as a value: reads every object that the ledger names, writes nothing.

Finds a missing object, changed bytes, other text or counts inside, a foreign object where receivers read, counts
that do not add up; of events also keys, thresholds and offsets that are not those planned. An object is read in
pieces and never further than the ledger says it reaches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from rover_spark.contract.currents import parse_currents_key
from rover_spark.contract.keys import EXPORTS, parse_rover_key
from rover_spark.deliver.adoption import tokens
from rover_spark.encode.ndjson import inflate
from rover_spark.encode.read_avro import events_wrong
from rover_spark.errors import Problem, RoverSparkError
from rover_spark.model.file import StagedFile
from rover_spark.model.head import BatchRecord
from rover_spark.model.plan import Plan
from rover_spark.produce.currents.audit import BY_HAND, Offsets
from rover_spark.produce.currents.plan import RegisteredSchema
from rover_spark.produce.rover.changes import OUTCOMES
from rover_spark.store import ObjectInfo, Store, prefix_of

_EARLY = range(1, 1_001)  # batches
_LOOK_FIRST = (
    "First see that `ledger` names the right place: what another ledger delivered, receivers need. Move it away only "
    "once you know who wrote it."
)
_ANOTHER_LEDGER = (
    "See that `ledger` names the right place and was not brought back from an older copy: another one delivered this "
    "file, and receivers may need it. Leave it until you know."
)
_HEAL = "rover-spark redeliver -c FILE --batch {batch} puts the same bytes back while Delta still holds the version."


@dataclass(frozen=True)
class Verified:
    """How much was read, and what was found wrong; ``elsewhere`` files went to a destination of another day."""

    files: int
    records: int
    bytes: int
    elsewhere: int
    problems: tuple[Problem, ...]


def verify(
    store: Store,
    batches: Iterable[BatchRecord],
    schemas: Mapping[int, RegisteredSchema] | None = None,
    destination: str | None = None,
    receives: str = EXPORTS,
    export: str = "",
    notice: Callable[[StagedFile], None] | None = None,
) -> Verified:
    """Holds every COMMITTED file against its object, and every object that receivers read against the ledger.

    ``schemas`` is the registry, by id; ``destination`` the place of today, where files are missing if they
    are nowhere; ``receives`` the folder below its prefix that receivers read; ``export`` the name whose files they are.
    """
    problems: list[Problem] = []
    known: set[str] = set()
    files = records = size = elsewhere = 0
    registry = schemas or {}
    offsets = Offsets(registry)
    for batch in batches:
        known.update(file.key for file in batch.files)
        if batch.state != "COMMITTED":
            continue
        problems += [*_counts(batch), *offsets.problems(batch)]
        for file in batch.files:
            found = _file(store, file, batch, registry)
            if found and found.code == "object_missing" and _moved(batch.plan, destination):
                elsewhere += 1
                continue
            problems += [found] if found else []
            files, records, size = files + 1, records + file.records, size + file.bytes
            if notice is not None:
                notice(file)
    foreign = _Foreign(export)
    root = f"{store.prefix}/{receives}/" if store.prefix else f"{receives}/"
    for each in sorted(store.listing(root), key=lambda info: info.key):
        if each.key not in known:
            problems.append(foreign(each))
    return Verified(files, records, size, elsewhere, tuple(problems))


class _Foreign:
    """Tells what another ledger of this export may have delivered, which receivers need, from what nobody knows."""

    def __init__(self, export: str) -> None:
        self._tokens = cache(lambda dataset: tokens(export, dataset, _EARLY) if export else {})

    def __call__(self, found: ObjectInfo) -> Problem:
        parts = parse_rover_key(found.key)
        batch = self._tokens(parts.dataset).get(parts.token) if parts else None
        if batch is None:
            what = f"no batch of the ledger wrote this object ({found.bytes} bytes)"
            return Problem("object_foreign", f"{found.key}: {what}", _LOOK_FIRST)
        what = f"is a file of batch {batch} of this export, but not one that this ledger knows ({found.bytes} bytes)"
        return Problem("object_foreign", f"{found.key}: {what}", _ANOTHER_LEDGER)


def _moved(plan: Plan | None, destination: str | None) -> bool:
    """Whether a batch went into another bucket, or directory, than ``destination`` names; a prefix is no other bucket."""
    if plan is None or destination is None:
        return False
    before, today = (url.removesuffix(prefix_of(url)).rstrip("/") for url in (plan.destination, destination))
    return before != today


def _counts(batch: BatchRecord) -> list[Problem]:
    counts = batch.counts
    told = sum(counts.get(outcome, 0) for outcome in OUTCOMES)
    held = sum(file.records for file in batch.files)
    if counts.get("read", 0) == told and counts.get("delivered", 0) == held:
        return []
    message = f"{batch.batch}: read {counts.get('read')}, accounted for {told}; {held} records in its files"
    return [Problem("counts_differ", message, BY_HAND)]


def _file(
    store: Store, file: StagedFile, batch: BatchRecord, schemas: Mapping[int, RegisteredSchema]
) -> Problem | None:
    def problem(code: str, what: str) -> Problem:
        return Problem(code, f"{file.key}: {what}", _HEAL.format(batch=batch.batch))

    packed, text = hashlib.sha256(), hashlib.sha256()
    lines = taken = size = 0
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
        # below the prefix of its own day
        prefix = prefix_of(batch.plan.destination) if batch.plan else store.prefix
        if (key := parse_currents_key(prefix, file.key)) is not None:
            wrong = _events(store, file, schemas.get(key.schema_id))
            return problem("object_changed", wrong) if wrong else None
        with store.read(file.key) as stream:
            for piece in inflate(stream, file.raw_bytes):
                text.update(piece)
                size += len(piece)
                lines += piece.count(b"\n")
    except FileNotFoundError:
        return problem("object_missing", "is not in the bucket")
    except OSError as error:
        return problem("object_unreadable", f"cannot be read: {error.strerror}")
    except ValueError as error:
        return problem("object_changed", str(error))
    if (lines, size) != (file.records, file.raw_bytes) or text.hexdigest() != file.raw_sha256:
        return problem(
            "object_changed", f"holds {lines} records where the ledger says {file.records}, or other text"
        )
    return None


def _events(store: Store, file: StagedFile, schema: RegisteredSchema | None) -> str | None:
    try:
        with store.read(file.key) as stream:
            return events_wrong(stream, schema.text if schema else None, file.records)
    except (OSError, RoverSparkError):
        raise
    except Exception as error:  # noqa: BLE001 - each codec's library has errors of its own; the store told its own above
        return f"is no whole Avro file: {type(error).__name__}"
