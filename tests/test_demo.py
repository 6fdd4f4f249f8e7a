"""One small demo: held to the contract by a receiver that knows nothing else, and looked at with the notebooks.

Each notebook runs as a reader runs it, in a kernel and a Spark session of its own.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zoneinfo
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import fastavro
import nbformat
import pytest
from pyspark.sql import SparkSession
from rich.cells import cell_len
from sqlglot import exp

from rover_spark.consume.ddl.merges import resolved
from rover_spark.contract.currents import parse_currents_key
from rover_spark.deliver.progress import LoggedProgress
from rover_spark.demo.story import run
from rover_spark.errors import ConfigError
from rover_spark.face.document import iso
from rover_spark.face.receivers.conform import conform
from rover_spark.face.receivers.load import load
from rover_spark.face.receivers.statements import ddl
from rover_spark.face.results import DemoResult
from tests import apache, receiver
from tests.consume.ddl.warehouses import DuckDB
from tests.documents import runs
from tests.documents.blocks import blocks, shape
from tests.notebooks import (
    CURRENTS,
    EXPORT,
    GRAPH,
    HEALTH,
    LOADED,
    Looked,
    code,
    each_notebook,
    execute,
    read,
)

BLOCKS = blocks()
pytestmark = pytest.mark.timeout(1500)  # a demo, then other sessions: minutes where others use the machine


@dataclass(frozen=True)
class Demo:
    """A demo: its directory, its result, and what it printed on a terminal of 80 columns."""

    place: Path
    result: DemoResult
    said: str


@pytest.fixture(scope="module")
def demo(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    home = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)  # paths are as short as where `make demo` is called
        result, said = runs.demo(spark, fans=150, seed=3)
    return Demo(home / runs.DEMO, result, said)


@pytest.fixture(scope="module")
def look(demo: Demo, no_traces: None) -> Callable[[str], Looked]:
    """Runs a notebook, once, in the directory that holds the demo's; a cell that fails, fails here."""

    @cache
    def looked(name: str) -> Looked:
        return execute(read(name), demo.place.parent)

    return looked


def in_a_warehouse(bucket: Path, identities: set[tuple[Any, ...]]) -> dict[str, str]:
    """The statements of `rover-spark ddl` give the company's state, seen through its merges; the canonical fans."""
    warehouse = DuckDB()
    warehouse.run(ddl("duckdb", place=bucket.as_uri()).statements, {})
    into = receiver.absorbed(bucket)
    found = warehouse.rows("fan_profile_merges_current")
    assert {r["mergedRoverID"]: r["canonicalRoverID"] for r in found} == into
    graph = warehouse.rows("fan_identity_graph_current")
    assert {(r["canonicalRoverID"], r["identifierType"], r["identifier"]) for r in graph} == {
        (into.get(fan, fan), kind, value) for fan, kind, value in identities
    }
    profiles = warehouse.rows("fan_profiles_current")
    assert len({r["canonicalRoverID"] for r in profiles}) == len(profiles)
    assert not {r["canonicalRoverID"] for r in profiles} & set(into), (
        "what was absorbed is no profile of today"
    )
    events = {r["id"]: r["roverID"] for r in receiver.records(bucket, "fan_track_events")}
    seen = {r["id"]: r["canonicalRoverID"] for r in warehouse.rows("fan_track_events_current")}
    assert seen == {each: into.get(fan, fan) for each, fan in events.items()}
    return into


def test_a_receiver_of_the_demo_ends_with_the_companys_state(spark: SparkSession, demo: Demo) -> None:
    assert demo.result.ok and not demo.result.problems
    bucket, tables = demo.place / "bucket", demo.place / "tables"

    def source(name: str) -> list[dict[str, object]]:
        return [r.asDict() for r in spark.read.format("delta").load(str(tables / name)).collect()]

    identities = {(r["rover_id"], r["kind"], r["value"]) for r in source("fan_identities")}
    assert receiver.identities(bucket) == identities
    held = receiver.profiles(bucket)
    living = {r["rover_id"]: r["traits"] for r in source("fan_profiles")}
    assert {fan: held[fan] for fan in living} == living, "every living fan, full traits, removed ones absent"
    merges = {(r["survivor_id"], r["absorbed_id"]) for r in source("fan_merges")}
    assert set(receiver.latest(bucket, "fan_profile_merges", "roverID", "mergedRoverID")) == merges
    survivors = {survivor for survivor, _ in merges}
    assert survivors & {absorbed for _, absorbed in merges}, "the company merges in chains"
    into = in_a_warehouse(bucket, identities)
    spark.read.json(str(bucket / "exports" / "fan_profile_merges")).createOrReplaceTempView("merges_records")
    joined = spark.sql(resolved(exp.to_table("merges_records"), recursive=False).sql("databricks")).collect()
    assert {r["mergedRoverID"]: r["canonicalRoverID"] for r in joined} == into, "in Spark, too, with joins"
    events = list(receiver.records(bucket, "fan_track_events"))
    ids = {r["id"] for r in events}
    lived = spark.read.format("delta").load(str(tables / "events")).count()
    before = spark.read.format("delta").option("versionAsOf", 2).load(str(tables / "events")).count()
    assert len(events) == len(ids) == lived - before > 0, "each event after enabling, once"
    # the other contract: every event of both days, of each type a file a day, the second under another schema id
    streamed = [
        (parse_currents_key("", path.relative_to(bucket / "currents" / "acme").as_posix()), path)
        for path in (bucket / "currents").rglob("*.avro")
    ]
    assert sorted(key.schema_id for key, _ in streamed if key) == list(range(1, 17))
    with pytest.raises(ConfigError, match="holds something already"):
        run(spark, demo.place, fans=150, seed=3, progress=LoggedProgress(), console=None)
    second, taken = demo.place.with_name("second"), f"file://{bucket}"
    with pytest.raises(ConfigError, match="holds files of another demo"):
        run(spark, second, fans=150, seed=3, progress=LoggedProgress(), console=None, destination=taken)
    assert not second.exists(), "nothing was begun"


def test_the_story_fits_80_columns_shows_one_fan_and_ends_with_commands_to_paste(demo: Demo) -> None:
    story, _, commands = demo.said.partition("Try next:\n")
    assert [line for line in story.splitlines() if cell_len(line) > 80] == []
    assert "rover_demo/bucket/currents/acme/\n└── dataexport.prod-01.S3.integration.65f1c2d3/" in story
    fan = re.search(r"One fan across the datasets: ([0-9a-f-]{36})\n", story)
    assert fan, story
    for dataset in ("fan_profiles", "fan_identity_graph", "fan_profile_merges", "fan_track_events"):
        of_fan = [
            record
            for record in receiver.records(demo.place / "bucket", dataset)
            if fan[1] in (record["roverID"], record.get("mergedRoverID"))
        ]
        shown = re.search(rf"^  {dataset}  ([\d,]+) records?$", story, re.M)
        assert shown and int(shown[1]) == len(of_fan) > 0, dataset
    delivered = sum(batch.counts["delivered"] for batch in demo.result.batches)
    assert f"{delivered:,} records: all of it is as the ledgers say" in " ".join(story.split())
    zones = re.findall(r"([\d,]+) time zones? not in the IANA database", story)
    assert zones and all(int(count) * 20 < delivered for count in zones), (
        "few, and said as the count of a rule"
    )
    *_, last, done = commands.replace(" \\\n", " ").splitlines()
    assert done == "done"
    pasted = subprocess.run(
        last, shell=True, capture_output=True, text=True, timeout=60, cwd=demo.place.parent
    )
    lines = pasted.stdout.splitlines()
    assert len(lines) == 3 and all(json.loads(line)["version"] == 1 for line in lines)


def test_the_documents_show_the_demo_as_it_is(demo: Demo) -> None:
    assert shape(BLOCKS["demo"]) == shape(runs.shown(demo.said))
    assert shape(BLOCKS["bucket"]) == shape(runs.bucket(demo.place))


@pytest.mark.slow
def test_the_documents_show_a_session_over_the_demos_tables_as_it_is(demo: Demo) -> None:
    assert shape(BLOCKS["session"]) == shape(runs.session(demo.place))
    assert shape(BLOCKS["document"]) == shape(runs.document(demo.place))


def test_every_event_of_the_demo_is_as_its_row_to_three_readers(spark: SparkSession, demo: Demo) -> None:
    rows = spark.read.format("delta").load(str(demo.place / "tables" / "messages")).collect()
    lived = {row["id"]: {**row.asDict(), "time": int(row["time"].timestamp())} for row in rows}
    seen: list[str] = []
    for path in sorted((demo.place / "bucket" / "currents").rglob("*.avro")):
        with path.open("rb") as opened:
            reader = fastavro.reader(opened)
            fields = {each["name"]: None for each in json.loads(reader.metadata["avro.schema"])["fields"]}
            events = list(reader)
        for event in events:
            row = lived[event["id"]]
            known = row["timezone"] if row["timezone"] in zoneinfo.available_timezones() else None
            assert event == {**fields, **{name: row[name] for name in fields}, "timezone": known}
        seen += [event["id"] for event in events]
        by_spark = spark.read.format("avro").load(str(path)).collect()
        assert [row.asDict() for row in by_spark] == events
        if "Purchase" in str(path):
            assert apache.events(spark, path) == events
            assert int(apache.ask(spark, "count", path)) == len(events)
            assert [
                each["name"] for each in json.loads(apache.ask(spark, "getschema", path))["fields"]
            ] == list(fields)
    assert sorted(seen) == sorted(lived), "each event once"


def test_the_demos_bucket_is_as_the_contract_says(demo: Demo) -> None:
    found = conform(str(demo.place / "bucket"))
    assert (found.ok, found.breaches) == (True, ())
    both = (demo.result.verified, demo.result.currents)
    for name in ("files", "records", "bytes"):
        assert sum(getattr(each, name) for each in found.datasets) == sum(
            getattr(each, name) for each in both
        )


def test_the_demos_bucket_is_loaded_with_one_command(demo: Demo, tmp_path: Path) -> None:
    found = load(str(demo.place / "bucket"), into=tmp_path / "demo.duckdb")
    assert found.ok and (found.waiting, found.unnamed, found.quarantined) == (0, 0, 0)
    delivered = demo.result.verified.records + demo.result.currents.records
    assert sum(each.new + each.repeated for each in found.datasets) == delivered


@pytest.mark.slow
@each_notebook
def test_no_cell_writes_to_standard_error(look: Callable[[str], Looked], name: str) -> None:
    assert [o.text for o in look(name).outputs if o.output_type == "stream" and o.name != "stdout"] == []


@pytest.mark.slow
@each_notebook
def test_every_picture_is_drawn(look: Callable[[str], Looked], name: str) -> None:
    drawn = [o.data["image/png"] for o in look(name).outputs if "image/png" in o.get("data", {})]
    assert len(drawn) == sum("plt.show()" in cell.source for cell in code(read(name)))
    for picture in drawn:
        assert base64.b64decode(picture).startswith(b"\x89PNG")


@pytest.mark.slow
def test_python_spark_and_the_ledger_count_what_the_demo_delivered(
    demo: Demo, look: Callable[[str], Looked]
) -> None:
    looked = look(EXPORT)
    delivered: Counter[str] = Counter()
    for batch in demo.result.batches:
        if batch.dataset != "events":
            delivered[batch.dataset] += batch.counts["delivered"]
    assert len(delivered) == 4 and all(delivered.values())
    for dataset, count in delivered.items():
        assert [dataset, *3 * [str(count)]] in looked.rows()
    total = sum(delivered.values())
    assert f"All three agree. Python read {total:,} records." in looked.printed()
    assert f"verify read {total:,} records, 0 problems." in looked.printed()


@pytest.mark.slow
def test_python_and_spark_read_the_events_that_the_demo_delivered(
    demo: Demo, look: Callable[[str], Looked]
) -> None:
    looked = look(CURRENTS)
    printed = looked.printed()
    delivered: Counter[str] = Counter()
    files = [file for batch in demo.result.batches if batch.dataset == "events" for file in batch.files]
    for file in files:
        key = parse_currents_key("", file.key)
        assert key
        delivered[key.event_type] += file.records
    total = delivered.total()
    assert len(delivered) == 8 and all(delivered.values())
    assert f"Spark read {total:,} events in {len(files)} files." in printed
    for event_type, count in delivered.items():
        assert [event_type, *4 * [str(count)]] in looked.rows(), "events and ids, in Python and in Spark"
    assert f"Equal, event for event. Python read {total:,} events." in printed
    late = re.search(
        rf"^([\d,]+) of {total:,} events .* did not happen in the hour of their key", printed, re.M
    )
    assert late and 0 < int(late[1].replace(",", "")) <= total
    assert "events read, left out: device.\nAll else is as written, in Python and in Spark." in printed
    status, schemas, per_hour, lateness, ledger = looked.tables()
    for event_type in delivered:
        assert [table.count(event_type) for table in (status, schemas, per_hour, lateness)] == [1, 2, 1, 1]
    assert schemas.count("field device was added") == len(delivered)
    assert "max_lateness_s" in ledger and "events.1.1" in ledger and "events.1.2" in ledger


@pytest.mark.slow
def test_the_loaded_tables_hold_what_a_receiver_ends_with(demo: Demo, look: Callable[[str], Looked]) -> None:
    looked, bucket = look(LOADED), demo.place / "bucket"
    files = [file for batch in demo.result.batches if batch.dataset != "events" for file in batch.files]
    records = sum(file.records for file in files)
    assert f"First: done. {len(files)} objects, {records:,} new records, 0 repeated ones." in looked.printed()
    assert "Again: nothing to do. 0 objects, 0 new records, 0 repeated ones." in looked.printed()
    into = receiver.absorbed(bucket)
    current = {
        "fan_profiles": {into.get(fan, fan) for fan in receiver.profiles(bucket)},
        "fan_identity_graph": {(into.get(fan, fan), *rest) for fan, *rest in receiver.identities(bucket)},
        "fan_profile_merges": into,
        "fan_track_events": receiver.loaded(bucket, "fan_track_events"),
    }
    for dataset, rows in current.items():
        found = receiver.loaded(bucket, dataset)
        fans = {record["roverID"] for record in found.values()}
        assert [dataset, *map(str, (len(found), len(fans), len(rows)))] in looked.rows()
    said = r"^(\d+) events of (\S+): \d+ anonymous, (\d+) before the first merge, (\d+) after it\.$"
    chosen = re.search(said, looked.printed(), re.MULTILINE)
    assert chosen and chosen[2] in into.values(), "a fan who was merged"
    own = [
        event
        for event in receiver.records(bucket, "fan_track_events")
        if into.get(event["roverID"], event["roverID"]) == chosen[2]
    ]
    assert len(own) == int(chosen[1]) == int(chosen[3]) + int(chosen[4]) > 0


@pytest.mark.slow
def test_the_graph_has_the_clusters_that_the_merges_make(demo: Demo, look: Callable[[str], Looked]) -> None:
    printed, bucket = look(GRAPH).printed(), demo.place / "bucket"
    into, graph = receiver.absorbed(bucket), receiver.identities(bucket)
    identifiers = {each[1:] for each in graph}
    assert len(identifiers) == len(graph), "the demo's fans share no identifier"
    known = {*receiver.profiles(bucket), *(each[0] for each in graph), *into, *into.values()}
    clusters = Counter(into.get(fan, fan) for fan in known)
    several = [size for size in clusters.values() if size > 1]
    assert f"{len(known):,} profiles, of which {len(into):,} were absorbed by merges" in printed
    assert (
        f"{len(clusters):,} clusters; {len(several):,} have several profiles, the largest {max(several):,}."
        in printed
    )
    assert f"No identifier is on several profiles: each of {len(identifiers):,} is on one." in printed


@pytest.mark.slow
def test_the_delivery_of_the_demo_is_healthy(demo: Demo, look: Callable[[str], Looked]) -> None:
    looked, bucket = look(HEALTH), demo.place / "bucket"
    files = [file for batch in demo.result.batches for file in batch.files]
    records = sum(file.records for file in files)
    assert f"conform: {len(files)} files, {records:,} records, 0 breaches." in looked.printed()
    assert "The quarantine is empty." in looked.printed() and "Nothing is missing." in looked.printed()
    ages = []
    for dataset, event_time in receiver.EVENT_TIME.items():
        batches = [batch for batch in demo.result.batches if batch.dataset == dataset and batch.files]
        named = sum(len(batch.files) for batch in batches)
        assert [dataset, str(len(batches)), str(named), *4 * ["0"]] in looked.rows(), "no gap"
        found = list(receiver.records(bucket, dataset))
        assert [dataset, *2 * [str(len(found))], "0", "0"] in looked.rows(), "no id comes again"
        changes = {iso(batch.instant) for batch in batches if batch.phase == "changes"}
        for record in found:
            if record["emittedAt"] in changes:
                emitted, happened = (
                    datetime.fromisoformat(record[each].replace("Z", "+00:00"))
                    for each in ("emittedAt", event_time)
                )
                ages.append((emitted - happened).total_seconds() / 3600)
    half, most = median(ages), quantiles(ages, n=20, method="inclusive")[-1]
    assert (
        f"Half of the changes arrive within {half:.1f} hours, 95 of 100 within {most:.1f}."
        in looked.printed()
    )


@pytest.mark.slow
def test_an_unhealthy_delivery_shows(demo: Demo, no_traces: None, tmp_path: Path) -> None:
    place = tmp_path / demo.place.name
    shutil.copytree(demo.place / "bucket", place / "bucket")
    config = (demo.place / "acme.toml").read_text(encoding="utf-8").replace(str(demo.place), str(place))
    (place / "acme.toml").write_text(config, encoding="utf-8")
    exports, manifests = place / "bucket" / "exports", place / "bucket" / "manifests"
    max((exports / "fan_identity_graph").rglob("*.gz")).unlink()
    sorted((manifests / "fan_profiles").rglob("*.json"))[1].unlink()
    (events,) = (exports / "fan_track_events").rglob("*.gz")
    shutil.copy(events, str(events).replace("-part-", "-part-0"))
    notebook = read(HEALTH)
    notebook.cells.append(
        nbformat.v4.new_code_cell("import sys\nprint('pyspark:', 'pyspark' in sys.modules)")
    )
    looked = execute(notebook, tmp_path)
    assert "1 batches wait for files" in looked.printed() and "manifest_file_missing" in looked.printed()
    count = len(receiver.loaded(place / "bucket", "fan_track_events"))
    assert ["fan_track_events", *map(str, (2 * count, count, count, count))] in looked.rows(), (
        "all of them twice"
    )
    assert ["fan_identity_graph", "2", "2", "1", "0", "0", "0"] in looked.rows(), "one is missing"
    assert ["fan_profile_merges", "2", "2", "0", "0", "0", "0"] in looked.rows()
    assert ["fan_profiles", "2", "2", "0", "1", "0", "1"] in looked.rows(), (
        "not named, and the chain is broken"
    )
    assert ["fan_track_events", "1", "1", "0", "1", "0", "0"] in looked.rows(), "the copy is not named"
    assert "Wrong: 4." in looked.printed()
    assert "pyspark: False" in looked.printed()
