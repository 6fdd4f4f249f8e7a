"""`make bench-load`: who loads ends with the table that the export says, and another table has no figures. No time is asserted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.bench import report
from tests.bench.loading import __main__ as bench
from tests.bench.loading import shown
from tests.bench.loading.agree import differences
from tests.bench.loading.contenders import CONTENDERS, DUCKDB, RAW, Contender, Job, named
from tests.bench.loading.export import Export, Facts, written
from tests.bench.loading.rounds import Plan, one
from tests.bench.rounds import Failed
from tests.documents import blocks, loaded

ROOT = Path(__file__).resolve().parents[2]
EXPORT = Export("texts", rows=3000, further=601, rows_of_a_file=1500)
FIGURES = {"wall", "cpu", "jvm", "driver", "worker", "together"}


def here(contender: Contender, job: Job, log: Path) -> dict[str, Any]:
    """A load in this process: it costs a second less, and nobody asks for figures."""
    contender.load(job)
    return {}


def loads(name: str, root: Path, export: Export, run: Any = here) -> list[dict[str, Any]]:
    """Both loads of a contender; raises where a table is wrong."""
    plan = Plan(export, (), 1, "1g", root)
    return one(named(name), plan, written(root / "export", export), run)


@pytest.mark.parametrize(
    "export",
    [EXPORT, replace(EXPORT, kind="hashes"), replace(EXPORT, later=True)],
    ids=["texts", "hashes", "later"],
)
def test_each_load_into_duckdb_ends_with_the_table_of_the_export(tmp_path: Path, export: Export) -> None:
    for name in ("duckdb", "load-duckdb"):
        assert loads(name, tmp_path, export) == [{}, {}]


def test_the_export_keeps_the_contract(tmp_path: Path) -> None:
    assert loads("conform-1", tmp_path, EXPORT) == [{}]


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Facts]:
    """A directory with the table of the first batch, and the facts of that."""
    root = tmp_path_factory.mktemp("right")
    facts = written(root / "export", EXPORT)[0]
    objects = root / "export" / "1" / "exports" / "fan_profiles" / "date=*" / "hour=*" / "*.ndjson.gz"
    named("duckdb").load(Job(root, str(objects), root, "1g"))
    return root, facts


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("SELECT 1", ""),
        ("DELETE FROM {raw} WHERE id = {first}", "2,999 rows of 2,999 ids instead of 3,000"),
        (
            "INSERT INTO {raw} SELECT * FROM {raw} WHERE id = {first}",
            "3,001 rows of 3,000 ids instead of 3,000",
        ),
        ("UPDATE {raw} SET traits = '{{}}' WHERE id = {first}", "such a row is in no file: 0"),
        ("UPDATE {raw} SET deleted = true WHERE id = {last}", "its rows are other ones"),
        (
            "UPDATE {raw} SET object_key = NULL WHERE id = {first}",
            "1 rows do not say which object they are from",
        ),
    ],
)
def test_a_table_that_is_wrong_in_one_row_is_found_out(
    right: tuple[Path, Facts], tmp_path: Path, change: str, says: str
) -> None:
    place, facts = right
    shutil.copy(place / DUCKDB, tmp_path)
    with duckdb.connect(tmp_path / DUCKDB) as connection:
        first, last = (f"(SELECT {which}(id) FROM {RAW})" for which in ("min", "max"))
        connection.execute(change.format(raw=RAW, first=first, last=last))
    wrong = "; ".join(differences(named("duckdb"), tmp_path, EXPORT, facts))
    assert wrong.startswith(says) and bool(wrong) == bool(says)


def test_who_forgets_what_replaces_a_record_has_no_figures(tmp_path: Path) -> None:
    def forgetful(contender: Contender, job: Job, log: Path) -> dict[str, Any]:
        if "hour=18" not in job.files:
            contender.load(job)
        else:  # only what is new
            with duckdb.connect(job.into / DUCKDB) as connection:
                connection.execute(f"""
                    INSERT INTO {RAW} SELECT * FROM read_json('{job.files}', filename = true, hive_partitioning = false,
                        columns = {{id: 'VARCHAR', version: 'BIGINT', roverID: 'VARCHAR', emittedAt: 'TIMESTAMP',
                        traits: 'JSON', deleted: 'BOOLEAN', updatedAt: 'TIMESTAMP'}})
                    WHERE id NOT IN (SELECT id FROM {RAW})""")
        return {}

    assert loads("duckdb", tmp_path / "same", EXPORT, forgetful)
    with pytest.raises(Failed, match="load 2: "):
        loads("duckdb", tmp_path / "later", replace(EXPORT, later=True), forgetful)


def test_who_makes_no_table_has_no_figures(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"load 1: its table cannot be read: \w"):
        loads("duckdb", tmp_path, EXPORT, lambda contender, job, log: {})


def test_sizes_and_contenders_are_chosen_and_unknown_ones_refused(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = bench.chosen_by(["--rows", "1000", "--only", "spark,duckdb", "--kind", "texts"])
    assert (chosen.further, chosen.only, chosen.kind) == (200, ["spark", "duckdb"], ["texts"])
    for wrong, says in ((["--only", "excel"], "is called excel"), (["--further", "9000000"], "no more than")):
        with pytest.raises(SystemExit):
            bench.chosen_by(wrong)
        assert says in capsys.readouterr().err


def part() -> dict[str, Any]:
    """A report in which loads by hand take twice as long."""
    facts = {"files": 3, "bytes": 1e6, "text_bytes": 40e6, "table_digest": 0}
    figures = dict.fromkeys(FIGURES, 10.0)
    lines: dict[str, Any] = {
        each.name: {"label": each.label, "loads": [figures] * (2 if each.engine else 1)}
        for each in CONTENDERS
    }
    lines["spark"]["loads"] = [{**figures, "cpu": 20.0}, {**figures, "cpu": 5.0}]
    lines["load-spark"] = {"label": "the other", "failed": "it broke"}
    return {
        **report.where(),
        "rounds": 1,
        "memory": "4g",
        "later": False,
        "batches": [
            {**facts, "records": 1000, "table_rows": 1000},
            {**facts, "records": 200, "table_rows": 1100},
        ],
        "contenders": lines,
    }


def test_a_report_has_a_line_for_each_load_and_says_who_has_none() -> None:
    made = part()
    assert shown.titles(made)[1].endswith("into that table, 100 of them there before, word for word")
    first, further = shown.rows(made, 0), shown.rows(made, 1)
    assert len(first) == len(CONTENDERS) - 1 and len(further) == 3
    assert first[1][1:6] == ("10.0 s", "0.50", "10.0 s", "100", "4.0 MB") and further[1][2] == "2.00"
    assert shown.failed(made) == ["the other: it broke"]


def test_the_table_of_the_documents_has_the_shape_that_make_docs_gives_it() -> None:
    made = loaded.made({"texts": part()})
    assert "* the other: it broke" in made
    heads = [
        {line for line in blocks.shape(text) if "| CPU |" in line}
        for text in (blocks.blocks()["bench-load"], made)
    ]
    assert heads[0] == heads[1] and len(heads[0]) == 1


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.full  # Spark starts six times
def test_all_contenders_end_with_the_table_of_the_export(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.bench.loading",
        "--rows",
        "3000",
        "--rows-of-a-file",
        "1000",
        "--later",
    ]
    command += [
        "--kind",
        "texts",
        "--memory",
        "1g",
        "--dir",
        str(tmp_path / "work"),
        "--report",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / bench.FILE).read_text())["texts"]["contenders"]
    assert list(found) == [each.name for each in CONTENDERS]
    for each in CONTENDERS:
        costs = found[each.name]["loads"]
        assert len(costs) == (2 if each.engine else 1)
        assert all(cost.keys() >= FIGURES and cost["cpu"] > 0 for cost in costs)
