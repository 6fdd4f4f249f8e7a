"""Before the first export, or after a change of rights: everything that delivery needs, tried once on a small scale.

Promises that receivers see nothing of it: what is written lies in the staging place and is taken away again, but for one
small object there where the role may read (to remove it nobody has the right). Tries what a run does and as it does
it: staging also in a task. Nothing is raised; each try is a Finding.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from rover_spark.audit.status import WARN_BELOW_DAYS, kept_days, statuses
from rover_spark.config.access import Access
from rover_spark.config.settings import Settings
from rover_spark.deliver.adoption import Adoption
from rover_spark.delta.causes import first_line
from rover_spark.delta.engine_errors import engine, reading
from rover_spark.delta.parallel import side_by_side
from rover_spark.errors import Problem, RoverSparkError, StagedLost
from rover_spark.ledger.table import Ledger
from rover_spark.model.file import StagedFile
from rover_spark.model.head import Head
from rover_spark.model.wording import counted
from rover_spark.produce.port import Owner, Place, Producer
from rover_spark.store import Store, open_store, staged_whole
from rover_spark.store.base import STAGING

_PAYLOAD = b"rover_spark was here to see whether it may deliver\n"
_ROOM = 1 << 18  # about what a few commits of the ledger take
_SKEW_SECONDS = 60
_SOURCE = "table, feed, columns"
_EXPORT_AGAIN = re.compile(r"\b([Rr])un (?:export|it) again(?:: [^.;]*)?")
_FIRST = 20  # rows that are tried
_EXCLUSIVE = ("S3DynamoDBLogStore",)
_DATABRICKS = "spark.databricks.clusterUsageTags.clusterId"  # where a service of its own orders commits on S3

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """One try: at what, what was tried, how it ended. Only ``failed`` means that delivery would fail."""

    about: str
    tried: str
    state: State
    found: str
    remedy: str = ""


def findings(
    spark: SparkSession, settings: Settings, ledger: Ledger, producer: Producer, owner: Owner
) -> Iterator[Finding]:
    """Every try, in the order in which a run would come to it. Run it in a session whose values are pinned."""
    heads: dict[str, Head] = {}
    known = False  # what the ledger does not tell, nobody can miss in it
    try:
        with engine("ledger"):
            ledger.open(create=False)
            heads, known = ledger.heads(), True
    except RoverSparkError as error:
        yield _failed("ledger", "read it", error.problem)
    else:
        batches = sum(head.seq for head in heads.values())
        yield Finding(
            "ledger",
            "read it",
            "ok",
            counted(batches, "batch", "batches") if ledger.exists else "none yet: export makes it",
        )
    yield from _ledger_place(spark, settings.ledger)
    for name in settings.delivers:
        yield from _sources(producer, name, heads.get(name, Head()))
    for standing in statuses(producer, settings.delivers, heads):
        if standing.problem is not None and standing.delivered_version is not None:
            yield Finding(
                standing.dataset,
                "what is undelivered",
                "warning" if standing.problem.code == "changes_expire" else "failed",
                standing.problem.message,
                standing.problem.remedy,
            )
    ahead = max((head.instant for head in heads.values()), default=0) - producer.now
    if ahead > 0:
        yield _skewed("ledger", "the last batch", ahead / 1000)
    yield from _destination(spark, settings, owner, heads if known else None)


def _sources(producer: Producer, name: str, head: Head) -> Iterator[Finding]:
    try:
        with engine(name):
            producer.check(name, head)
    except RoverSparkError as error:
        yield _failed(name, _SOURCE, error.problem)
        return
    # of today's settings: what was delivered before does not count
    for found in side_by_side(lambda place: list(_table(producer, place)), producer.places(name, Head())):
        yield from found


def _table(producer: Producer, place: Place) -> Iterator[Finding]:
    about = place.name
    try:
        state, tried = producer.state(place), producer.try_rows(place, _FIRST)
    except RoverSparkError as error:
        yield _failed(about, _SOURCE, error.problem)
        return
    yield Finding(about, _SOURCE, "ok", f"version {state.latest.version} can be read")
    if tried is not None:
        yield Finding(about, "fields", "ok", tried.fields)
        yield _first_rows(about, tried.rows)
    days = kept_days(state)
    kept = f"changes stay readable for {days:g} {'day' if days == 1 else 'days'}"
    if days < WARN_BELOW_DAYS:
        remedy = "Raise delta.deletedFileRetentionDuration and delta.logRetentionDuration on the table."
        yield Finding(about, "retention", "warning", kept, remedy)
    else:
        yield Finding(about, "retention", "ok", kept)
    ahead = (state.latest.timestamp - producer.now) / 1000
    if ahead > _SKEW_SECONDS:
        yield _skewed(about, "the newest commit", ahead)


def _first_rows(about: str, tried: tuple[str | None, ...]) -> Finding:
    """How delivery would end for the first rows. Of their values nothing is told: they are personal data."""
    rows, reasons = counted(len(tried), "row"), sorted({reason for reason in tried if reason})
    if not reasons:
        return Finding(
            about, "first rows", "ok", f"{rows} tried: each can be delivered" if tried else "there are none"
        )
    broken = sum(reason is not None for reason in tried)
    return Finding(
        about,
        "first rows",
        "warning",
        f"of {rows} tried {broken} would go to the quarantine: {', '.join(reasons)}",
        "Mend the expressions in columns, or the rows at their source. A time that cannot be parsed is a missing one.",
    )


def _ledger_place(spark: SparkSession, location: str) -> Iterator[Finding]:
    if "/" not in location:
        yield Finding("ledger", "write beside it", "ok", "a catalog's table: not tried")
        return
    scheme = location.partition("://")[0] if "://" in location else "file"
    if scheme in {"s3", "s3a", "s3n"}:
        chosen = spark.conf.get(f"spark.delta.logStore.{scheme}.impl", None) or ""
        if not chosen.endswith(_EXCLUSIVE) and spark.conf.get(_DATABRICKS, None) is None:
            yield Finding(
                "ledger",
                "log store",
                "warning",
                "on S3 Delta's own log store takes commits of a single driver only",
                "Never run two exports of this name at once, or set up S3DynamoDBLogStore.",
            )
    try:
        jvm: Any = spark._jvm
        path = jvm.org.apache.hadoop.fs.Path(f"{location.rstrip('/')}_check")
        system = path.getFileSystem(spark._jsc.hadoopConfiguration())
        stream = system.create(path, True)
        try:
            stream.write(bytearray(_ROOM))  # a disk that is full takes an empty file
        finally:
            stream.close()
            system.delete(path, False)
    except (AttributeError, PySparkException):
        yield Finding("ledger", "write beside it", "ok", "sessions that are shared cannot try it")
    except Py4JError as error:
        yield Finding(
            "ledger",
            "write beside it",
            "failed",
            first_line(str(getattr(error, "java_exception", error))),
            "Let this role write where the ledger lies, or name another place.",
        )
    else:
        yield Finding("ledger", "write beside it", "ok", "written and removed")


def _destination(
    spark: SparkSession, settings: Settings, owner: Owner, heads: Mapping[str, Head] | None
) -> Iterator[Finding]:
    about = "destination"
    try:
        store = open_store(settings.destination, settings.name, settings.access)
        key = "/".join(filter(None, (store.prefix, STAGING, settings.name, "probe")))
        staging = store.stage(key, "check", _attempt())
        reference = staged_whole(staging, key, _PAYLOAD).staged
    except RoverSparkError as error:
        yield _failed(about, "stage", error.problem)
        return
    yield Finding(about, "stage", "ok", f"{len(_PAYLOAD)} bytes, invisible")
    with suppress(RoverSparkError):
        yield from _clock(staging.clock())
    if store.abort([reference]):
        remedy = (
            "Grant s3:AbortMultipartUpload, or storage.objects.delete; else only a lifecycle rule removes it."
        )
        yield Finding(about, "abort", "warning", "what was staged could not be removed", remedy)
    else:
        yield Finding(about, "abort", "ok", store.unswept or "removed")
    yield from _from_a_task(spark, settings, owner, store, key)
    if heads is not None:
        yield from _earlier(store, settings, owner, heads)


def _earlier(store: Store, settings: Settings, owner: Owner, heads: Mapping[str, Head]) -> Iterator[Finding]:
    about, tried = "ledger", "files that it should know"
    adoption = Adoption(store, settings, owner)
    try:
        for name in settings.delivers:
            adoption.look(name, heads.get(name, Head()))
    except RoverSparkError as error:
        yield _failed(about, tried, error.problem)
    else:
        found = "none stands there without it" if store.can_read else "not tried: store.can_read is false"
        yield Finding(about, tried, "ok", found)


def _from_a_task(
    spark: SparkSession, settings: Settings, owner: Owner, store: Store, key: str
) -> Iterator[Finding]:
    about, tried = "destination", "stage in a task"
    try:
        with reading("check", "one row", remedy="Run check again."):
            task = _task(settings.destination, settings.name, settings.access, key, _attempt())
            told = json.loads(spark.range(1).mapInArrow(task, "told string").collect()[0]["told"])
    except RoverSparkError as error:
        remedy = (
            "Ship the package and the destination's SDK to the executors: --py-files, or a cluster library."
        )
        yield Finding(about, tried, "failed", error.message, remedy)
        return
    if "staged" not in told:
        yield _failed(about, tried, Problem(**told))
        return
    file = StagedFile(**told["staged"])
    yield Finding(about, tried, "ok", "executors reach it")
    tried = "publish, read, list"
    if not store.can_read or owner.reads_all:
        store.abort([file.staged])
        found = "not tried: store.can_read is false, and nobody may remove what is published"
        if store.can_read:
            found = "not tried: receivers read all that stands below the prefix"
        # what staging does not show, nobody has tried
        yield Finding(about, tried, "warning" if store.untried else "ok", found, store.untried)
        return
    try:
        _publish(store, file, settings.receives)
    except StagedLost:
        remedy = "A directory must be one that all executors and the driver see: a mounted volume, NFS."
        yield Finding(about, tried, "failed", "the driver does not find what a task staged", remedy)
    except RoverSparkError as error:
        yield _failed(about, tried, error.problem)
    else:
        yield Finding(about, tried, "ok", f"as staged in the task: {key}")


def _task(destination: str, export: str, access: Access, key: str, attempt: str) -> Any:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                try:
                    staging = open_store(destination, export, access).stage(key, "check", attempt)
                    told = {"staged": vars(staged_whole(staging, key, _PAYLOAD))}
                except RoverSparkError as error:
                    told = vars(error.problem)
                yield pa.RecordBatch.from_pydict({"told": [json.dumps(told)]})

    return run


def _publish(store: Store, file: StagedFile, receives: str) -> None:
    # the payload is always the same: where an earlier check left it, this is no conflict
    store.publish(file)
    with store.read(file.key) as stream:
        stream.read(file.bytes)
    next(iter(store.listing("/".join(filter(None, (store.prefix, f"{receives}/"))))), None)


def _clock(theirs: datetime | None) -> Iterator[Finding]:
    if theirs is None:
        return
    behind = (theirs - datetime.now(timezone.utc)).total_seconds()  # noqa: TID251 - compares clocks, decides nothing
    if abs(behind) > _SKEW_SECONDS:
        yield _skewed("destination", "its clock", behind)
    else:
        yield Finding("clock", "against the destination's", "ok", f"{abs(behind):.0f} s apart, UTC")


def _skewed(about: str, whose: str, seconds: float) -> Finding:
    where = "ahead of" if seconds > 0 else "behind"
    found = f"{whose} is {abs(seconds):,.0f} s {where} this machine's clock"
    return Finding("clock", f"against {about}", "warning", found, "Set this machine's clock: keys carry it.")


def _failed(about: str, tried: str, problem: Problem) -> Finding:
    # an export may never have been run: what comes after mending is another check
    remedy = _EXPORT_AGAIN.sub(r"\1un check again", problem.remedy)
    return Finding(about, tried, "failed", problem.message, remedy)


def _attempt() -> str:
    return uuid.uuid4().hex  # noqa: TID251 - stands in staging names only
