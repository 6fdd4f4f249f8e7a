"""Tries the destination: stage and abort in the driver, stage in a Spark task, publish, read and list.

Publishes nothing where receivers would read it. What is tried lies in the staging place.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from rover_spark.audit.found import Finding
from rover_spark.config.access import Access
from rover_spark.config.settings import Settings
from rover_spark.contract.manifests import FOLDER
from rover_spark.deliver.adoption import Adoption
from rover_spark.delta.engine_errors import reading
from rover_spark.errors import Problem, RoverSparkError, StagedLost
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.produce.port import Owner
from rover_spark.store import Store, below, open_store, staged_whole
from rover_spark.store.base import STAGING

_PAYLOAD = b"rover_spark was here to see whether it may deliver\n"
_SKEW_SECONDS = 60
_IN_A_TASK = "stage in a task"


def destination(
    spark: SparkSession, settings: Settings, owner: Owner, dataset_states: Mapping[str, DatasetState] | None
) -> Iterator[Finding]:
    """Every try, in the order of a run. ``dataset_states`` is None where the ledger could not be read."""
    about = "destination"
    try:
        store = open_store(settings.destination, settings.name, settings.access)
        key = below(store.prefix, STAGING, settings.name, "probe")
        staging = store.stage(key, "check", _attempt())
        reference = staged_whole(staging, key, _PAYLOAD).staged
    except RoverSparkError as error:
        yield Finding.failed(about, "stage", error.problem)
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
    yield from _manifest(settings)
    yield from _from_a_task(spark, settings, owner, store, key)
    if dataset_states is not None:
        yield _earlier(store, settings, owner, dataset_states)


def _manifest(settings: Settings) -> Iterator[Finding]:
    """Stages where completion manifests become visible: it may be another bucket, or a folder with rights of its own."""
    place, tried = settings.manifests_at, "stage a manifest"
    if place is None:
        return
    try:
        store = open_store(place, settings.name, settings.access_at(place))
        key = below(store.prefix, FOLDER, "probe")
        store.abort([staged_whole(store.stage(key, "check", _attempt()), key, _PAYLOAD).staged])
    except RoverSparkError as error:
        yield Finding.failed("destination", tried, error.problem)
        return
    yield Finding("destination", tried, "ok", f"completion manifests go to {place}")


def _earlier(
    store: Store, settings: Settings, owner: Owner, dataset_states: Mapping[str, DatasetState]
) -> Finding:
    about, tried = "ledger", "files that it should know"
    adoption = Adoption(store, settings, owner)
    try:
        for name in settings.delivers:
            adoption.look(name, dataset_states.get(name, DatasetState()))
    except RoverSparkError as error:
        return Finding.failed(about, tried, error.problem)
    found = "none is there without it" if store.can_read else "not tried: store.can_read is false"
    return Finding(about, tried, "ok", found)


def _from_a_task(
    spark: SparkSession, settings: Settings, owner: Owner, store: Store, key: str
) -> Iterator[Finding]:
    """Stages in a task, as a batch does, and goes on with what the task staged."""
    about = "destination"
    try:
        with reading("check", "one row", remedy="Run check again."):
            task = _task(settings.destination, settings.name, settings.access, key, _attempt())
            rows = spark.range(1).mapInArrow(task, "staged string, problem string").collect()
    except RoverSparkError as error:
        remedy = (
            "Ship the package and the destination's SDK to the executors: --py-files, or a cluster library."
        )
        yield Finding(about, _IN_A_TASK, "failed", error.message, remedy)
        return
    if rows[0]["problem"] is not None:
        yield Finding.failed(about, _IN_A_TASK, Problem(**json.loads(rows[0]["problem"])))
        return
    file = StagedFile(**json.loads(rows[0]["staged"]))
    yield Finding(about, _IN_A_TASK, "ok", "executors reach it")
    if store.can_read and not owner.reads_all:
        yield _published(store, file, settings.receives)
        return
    store.abort([file.staged])
    found = "not tried: store.can_read is false, and nobody may remove what is published"
    if store.can_read:
        found = "not tried: receivers read everything below the prefix"
    # staging alone does not show every right that publishing needs
    yield Finding(about, "publish, read, list", "warning" if store.untried else "ok", found, store.untried)


def _task(destination: str, export: str, access: Access, key: str, attempt: str) -> Any:
    """What the executor runs: one row with the staged file, or with the problem, as JSON."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                staged = problem = None
                try:
                    staging = open_store(destination, export, access).stage(key, "check", attempt)
                    staged = json.dumps(asdict(staged_whole(staging, key, _PAYLOAD)))
                except RoverSparkError as error:
                    problem = json.dumps(asdict(error.problem))
                columns = [pa.array([each], pa.string()) for each in (staged, problem)]
                yield pa.RecordBatch.from_arrays(columns, names=["staged", "problem"])

    return run


def _published(store: Store, file: StagedFile, receives: str) -> Finding:
    about, tried = "destination", "publish, read, list"
    try:
        # the payload never changes: where an earlier check left it, this is no conflict
        store.publish(file)
        with store.read(file.key) as stream:
            stream.read(file.bytes)
        next(iter(store.listing(below(store.prefix, receives, ""))), None)
    except StagedLost:
        remedy = "A directory must be one that all executors and the driver see: a mounted volume, NFS."
        return Finding(about, tried, "failed", "the driver does not find what a task staged", remedy)
    except RoverSparkError as error:
        return Finding.failed(about, tried, error.problem)
    return Finding(about, tried, "ok", f"as staged in the task: {file.key}")


def _clock(theirs: datetime | None) -> Iterator[Finding]:
    if theirs is None:
        return
    behind = (theirs - datetime.now(timezone.utc)).total_seconds()  # noqa: TID251 - compares clocks, decides nothing
    if abs(behind) > _SKEW_SECONDS:
        yield Finding.skewed("destination", "its clock", behind)
    else:
        yield Finding("clock", "against the destination's", "ok", f"{abs(behind):.0f} s apart, UTC")


def _attempt() -> str:
    return uuid.uuid4().hex  # noqa: TID251 - used in staging names only
