"""The completion manifest of a batch of events: event types, schema ids, commit times, and a place beside the prefix."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timezone

from rover_spark.config.access import Access
from rover_spark.contract.currents import currents_key
from rover_spark.contract.manifests import parse, parse_key
from rover_spark.deliver.completion import CompletionManifests
from rover_spark.model.file import StagedFile
from rover_spark.model.plan import Manifests
from rover_spark.model.table import HistoryRow
from rover_spark.produce.currents.plan import EventSource, Slice
from rover_spark.store import open_store
from tests.plans import EU, INSTANT, event_plan

CUSTOM, PURCHASE, QUIET = "users.behaviors.CustomEvent", "users.behaviors.Purchase", "users.canvas.Entry"
HOUR = datetime(2026, 11, 21, 10, tzinfo=timezone.utc)


def a_slice(event_type: str, schema_id: int, first: int | None, *times: int) -> Slice:
    source = EventSource("/t", None, {"id": "id"}, (), False)
    commits = tuple(HistoryRow(7 + n, time, "WRITE") for n, time in enumerate(times))
    return Slice(event_type, source, first, 6 + len(times), "table-1", commits, schema_id, 15_000, (0,))


def test_a_manifest_of_events_says_what_the_plan_and_the_files_say() -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    plan = event_plan(
        instant=INSTANT,
        destination=f"{bucket}/acme",
        manifests=Manifests(f"{bucket}/manifests.acme", ("symlink",), None),
        slices=(
            a_slice(CUSTOM, 4, 7, INSTANT - 9000, INSTANT - 4000),
            a_slice(PURCHASE, 2, 7, INSTANT - 8000, INSTANT - 3000),
            a_slice(QUIET, 1, None, INSTANT - 99_000),
        ),
    )
    places = [(PURCHASE, 2, 0), (CUSTOM, 4, 15_000), (CUSTOM, 4, 0)]
    keys = [currents_key("acme", EU, name, HOUR, number, 0, offset) for name, number, offset in places]
    files = [
        StagedFile(key, 5 + n, 100, "a" * 64, 300, "b" * 64, n, 0, f"staged{n}") for n, key in enumerate(keys)
    ]
    announces, store = CompletionManifests(lambda _: Access()), open_store(bucket, "acme")
    staged = announces.stage(plan, files)
    assert [replace(each, staged="") for each in announces.stage(plan, files[::-1])] == [
        replace(each, staged="") for each in staged
    ], "whatever the order in which tasks gave them back"
    assert announces.publish(plan, staged)
    with store.read(staged[-1].key) as stream:
        said = parse(stream.read())
    parts = parse_key(staged[-1].key)
    assert parts is not None and (parts.root, parts.stream) == ("manifests.acme", EU.name)
    assert said.contract == "currents" and said.dataset is None
    assert said.event_types == (CUSTOM, PURCHASE), "those whose tables were read"
    assert [(file.key, file.event_type, file.schema_id) for file in said.files] == sorted(
        (key, name, number) for key, (name, number, _) in zip(keys, places, strict=True)
    )
    assert said.totals == {"files": 3, "records": 18, "bytes": 300, "textBytes": 900}
    first, last = said.window.from_time, said.window.to_time
    assert first is not None and (last - first).total_seconds() == 6
    assert (said.window.from_version, said.window.to_version) == (None, None)
    assert (said.columns, said.key, said.event_time) == (("id", "time"), ("id",), "time")
    with store.read(staged[0].key) as stream:
        assert stream.read().decode().splitlines() == [f"{bucket}/{file.key}" for file in said.files]
