"""`make bench` gives a report with every figure, and refuses what a contender wrote wrongly. Nothing is asserted on time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import plot, report, shown
from tests.bench.contenders import KINDS, PLAIN, Contender, Job
from tests.bench.meter import whole
from tests.bench.rounds import Failed, Plan, one

FIGURES = {"wall", "cpu", "jvm", "driver", "worker", "together", "files", "bytes", "raw_bytes", "records"}
ROOT = Path(__file__).resolve().parents[2]


def plan(*sizes: int) -> Plan:
    return Plan("texts", KINDS["texts"].contenders, sizes, 3, False, "2g", Path("nowhere"))


def runs(**costs: dict[int, list[float]]) -> dict[str, dict[int, list[dict[str, float]]]]:
    """Figures of contenders, of which only the CPU differs."""
    same = dict.fromkeys((*FIGURES, "shuffled"), 1.0)
    return {
        name: {size: [{**same, "cpu": cost} for cost in found] for size, found in by_size.items()}
        for name, by_size in costs.items()
    }


def test_a_further_million_is_the_slope_between_sizes_and_medians_leave_an_outlier_out() -> None:
    found = runs(
        native={1_000_000: [14, 12, 99], 3_000_000: [18, 18, 18]},
        spark={1_000_000: [30, 30, 30], 3_000_000: [70, 70, 70]},
    )
    part = report.part(plan(1_000_000, 3_000_000), found, {"duckdb": "it broke"})
    native = part["contenders"]["native"]
    assert native["per_million"] == {"cpu": 2.0, "wall": 0.0, "bytes": 0.0}
    assert native["sizes"]["1000000"]["cpu"] == 14
    assert shown.ratio(part, native) == "0.10"
    assert (
        part["contenders"]["duckdb"]["failed"] == "it broke" and "sizes" not in part["contenders"]["polars"]
    )


def test_one_size_has_no_slope() -> None:
    part = report.part(plan(1_000_000), runs(spark={1_000_000: [30]}), {})
    line = part["contenders"]["spark"]
    assert line["per_million"]["cpu"] is None
    assert shown.cells(part, line)[4:6] == ("–", "–")


def test_a_kind_that_is_measured_again_replaces_its_part_and_no_other(tmp_path: Path) -> None:
    report.write(tmp_path, "texts", {"rounds": 1})
    report.write(tmp_path, "events", {"rounds": 1})
    assert report.write(tmp_path, "texts", {"rounds": 2}) == {"texts": {"rounds": 2}, "events": {"rounds": 1}}
    assert report.read(tmp_path)["texts"]["rounds"] == 2


def test_sizes_and_contenders_are_chosen_and_unknown_ones_refused(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = bench.chosen_by(["--rows", "5,0.5", "--only", "native,duckdb", "--kind", "texts"])
    assert (chosen.rows, chosen.only, chosen.kind) == ([500_000, 5_000_000], ["native", "duckdb"], ["texts"])
    assert bench.chosen_by([]).kind == list(KINDS)
    with pytest.raises(SystemExit):
        bench.chosen_by(["--only", "excel"])
    assert "no contender is called excel" in capsys.readouterr().err


def test_a_contender_that_fails_says_why(tmp_path: Path) -> None:
    contender = Contender("native", "", "1", "ours", "native")
    job = Job("texts", 10, tmp_path / "no-table", tmp_path / "work" / "out", "a lot")
    with pytest.raises(Failed, match=r"\w"):
        one(contender, job, {})


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.full  # minutes: its figures fail no test, and who runs the bench sees what else fails
def test_a_quick_bench_has_all_figures_of_contenders_that_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick"]
    command += ["--dir", str(tmp_path / "work"), "--report", str(tmp_path / "bench")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    part = json.loads((tmp_path / "bench" / report.FILE).read_text())["texts"]
    measured = {name: line["sizes"]["100000"] for name, line in part["contenders"].items()}
    assert list(measured) == [*bench.OURS, PLAIN]
    for name, figures in measured.items():
        assert figures.keys() >= FIGURES and figures["records"] == 100_000
        assert all(figures[each] > 0 for each in ("cpu", "wall", "bytes", "raw_bytes", "driver", "jvm"))
        assert (figures["worker"] > 0) == (name != PLAIN)
    assert len({figures["raw_bytes"] for figures in measured.values()}) == 1
    assert (tmp_path / "bench" / plot.FILE).stat().st_size > 10_000
    assert not (tmp_path / "work").exists()


_UNWAITED = """
import os, signal, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as Spark's daemon of Python workers does
if os.fork() == 0:
    began = time.process_time()
    while time.process_time() - began < 1: pass
    time.sleep(0.7)  # a worker waits for more before it ends
    os._exit(0)
time.sleep(4)
"""


def test_the_cpu_of_workers_that_nobody_waits_for_counts() -> None:
    found = whole([sys.executable, "-c", _UNWAITED, "pyspark.daemon"])
    assert found["code"] == 0 and 1 <= found["cpu"] < 3
