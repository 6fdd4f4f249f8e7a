"""One small demo: held to the contract by a receiver that knows nothing else, and looked at with the notebooks.

Each notebook runs as a reader runs it, in a kernel and a Spark session of its own.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from pyspark.sql import SparkSession
from rich.cells import cell_len
from sqlglot import exp

from rover_spark.consume.ddl.merges import resolved
from rover_spark.contract.currents import parse_currents_key
from rover_spark.deliver.progress import LoggedProgress
from rover_spark.demo.story import run
from rover_spark.errors import ConfigError
from rover_spark.face.receivers.conform import conform
from rover_spark.face.receivers.load import load
from rover_spark.face.receivers.statements import ddl
from rover_spark.face.results import DemoResult
from tests import apache, receiver
from tests.consume.ddl.warehouses import DuckDB
from tests.documents import runs
from tests.documents.blocks import ROOT, blocks, shape

NOTEBOOKS = ROOT / "notebooks"
BLOCKS = blocks()
EXPORT, CURRENTS = "01_look_at_an_export.ipynb", "02_currents.ipynb"
CONFIGS = {EXPORT: "acme.toml", CURRENTS: "acme_events.toml"}
PICTURES = {EXPORT: 5, CURRENTS: 1}  # at least
each_notebook = pytest.mark.parametrize("name", CONFIGS)
pytestmark = pytest.mark.timeout(1500)  # a demo, then other sessions: minutes where others use the machine


@dataclass(frozen=True)
class Demo:
    """A demo: its directory, its result, and what it printed on a terminal of 80 columns."""

    place: Path
    result: DemoResult
    said: str


@dataclass(frozen=True)
class Looked:
    """What the demo delivered, and what a notebook's cells put out about it."""

    demo: DemoResult
    outputs: list[Any]

    def printed(self) -> str:
        return "".join(o.text for o in self.outputs if o.output_type == "stream" and o.name == "stdout")

    def tables(self) -> list[str]:
        return [o.data["text/html"] for o in self.outputs if "text/html" in o.get("data", {})]


@pytest.fixture(scope="module")
def no_traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A kernel as on a new machine: no settings of the user's, no font cache yet; nothing is left at home."""
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
            patch.setenv(name, str(home / name))
        yield


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
        notebook = execute(read(name), demo.place.parent)
        return Looked(demo.result, [output for cell in code(notebook) for output in cell.outputs])

    return looked


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / name, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook: Any, place: Path) -> Any:
    """The notebook with its outputs; its working directory is ``place``. CellExecutionError where a cell fails."""
    resources = {"metadata": {"path": str(place)}}
    return NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()


def in_a_warehouse(
    bucket: Path, identities: set[tuple[Any, ...]], merges: set[tuple[str, str]]
) -> dict[str, str]:
    """The statements of `rover-spark ddl` give the company's state, seen through its merges; the canonical fans."""
    warehouse = DuckDB()
    warehouse.run(ddl("duckdb", place=bucket.as_uri()).statements, {})
    into = {absorbed: survivor for survivor, absorbed in merges}

    def canonical(fan: str) -> str:
        return canonical(into[fan]) if fan in into else fan

    found = warehouse.rows("fan_profile_merges_current")
    assert {r["mergedRoverID"]: r["canonicalRoverID"] for r in found} == {
        each: canonical(each) for each in into
    }
    graph = warehouse.rows("fan_identity_graph_current")
    assert {(r["canonicalRoverID"], r["identifierType"], r["identifier"]) for r in graph} == {
        (canonical(fan), kind, value) for fan, kind, value in identities
    }
    profiles = warehouse.rows("fan_profiles_current")
    assert len({r["canonicalRoverID"] for r in profiles}) == len(profiles)
    assert not {r["canonicalRoverID"] for r in profiles} & set(into), (
        "what was absorbed is no profile of today"
    )
    events = {r["id"]: r["roverID"] for r in receiver.records(bucket, "fan_track_events")}
    seen = {r["id"]: r["canonicalRoverID"] for r in warehouse.rows("fan_track_events_current")}
    assert seen == {each: canonical(fan) for each, fan in events.items()}
    return {each: canonical(each) for each in into}


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
    into = in_a_warehouse(bucket, identities, merges)
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


def test_every_notebook_is_held_to_what_follows() -> None:
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == sorted(CONFIGS) == sorted(PICTURES)


@each_notebook
def test_it_is_kept_without_outputs(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert [cell for cell in code(notebook) if cell.outputs or cell.execution_count is not None] == []


@each_notebook
def test_it_defines_nothing(name: str) -> None:
    for cell in code(read(name)):
        assert not [line for line in cell.source.splitlines() if line.startswith(("def ", "class "))]


@each_notebook
def test_every_picture_is_titled_and_its_axes_are_named(name: str) -> None:
    pictures = [cell.source for cell in code(read(name)) if "plt.show()" in cell.source]
    assert len(pictures) >= PICTURES[name]
    for source in pictures:
        missing = [word for word in ("suptitle(", "xlabel=", "ylabel=") if word not in source]
        assert not missing, f"{missing} in\n{source}"


@pytest.mark.slow
@each_notebook
def test_no_cell_writes_to_standard_error(look: Callable[[str], Looked], name: str) -> None:
    looked = look(name)
    assert looked.demo.ok
    assert [o.text for o in looked.outputs if o.output_type == "stream" and o.name != "stdout"] == []


@pytest.mark.slow
@each_notebook
def test_every_picture_is_drawn(look: Callable[[str], Looked], name: str) -> None:
    drawn = [o.data["image/png"] for o in look(name).outputs if "image/png" in o.get("data", {})]
    assert len(drawn) == sum("plt.show()" in cell.source for cell in code(read(name)))
    for picture in drawn:
        assert base64.b64decode(picture).startswith(b"\x89PNG")


@pytest.mark.slow
def test_python_spark_and_the_ledger_count_what_the_demo_delivered(look: Callable[[str], Looked]) -> None:
    looked = look(EXPORT)
    delivered: Counter[str] = Counter()
    for batch in looked.demo.batches:
        if batch.dataset != "events":
            delivered[batch.dataset] += batch.counts["delivered"]
    assert len(delivered) == 4 and all(delivered.values())
    rows = [line.split() for line in looked.printed().splitlines()]
    for dataset, count in delivered.items():
        assert [dataset, *3 * [str(count)]] in rows
    total = sum(delivered.values())
    assert f"All three agree. Python read {total:,} records." in looked.printed()
    assert f"verify read {total:,} records, 0 problems." in looked.printed()


@pytest.mark.slow
def test_python_and_spark_read_the_events_that_the_demo_delivered(look: Callable[[str], Looked]) -> None:
    looked = look(CURRENTS)
    printed = looked.printed()
    delivered: Counter[str] = Counter()
    files = [file for batch in looked.demo.batches if batch.dataset == "events" for file in batch.files]
    for file in files:
        key = parse_currents_key("", file.key)
        assert key
        delivered[key.event_type] += file.records
    total = delivered.total()
    assert len(delivered) == 8 and all(delivered.values())
    assert f"Spark read {total:,} events in {len(files)} files." in printed
    rows = [line.split() for line in printed.splitlines()]
    for event_type, count in delivered.items():
        assert [event_type, *4 * [str(count)]] in rows, "events and ids, in Python and in Spark"
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
@each_notebook
def test_without_a_demo_it_says_to_make_one(no_traces: None, tmp_path: Path, name: str) -> None:
    notebook = read(name)
    first, config = code(notebook)[0], f'CONFIG = "rover_demo/{CONFIGS[name]}"'
    assert config in first.source, "one variable names another export"
    first.source = first.source.replace(config, f'CONFIG = "no_such_demo/{CONFIGS[name]}"')
    absent = re.escape(f"There is no no_such_demo/{CONFIGS[name]} ")
    with pytest.raises(CellExecutionError, match=rf"{absent}.* Run `make demo`"):
        execute(notebook, tmp_path)
    assert [cell.execution_count for cell in code(notebook)[1:]] == [None] * (len(code(notebook)) - 1)
