"""What Ctrl-C and SIGTERM tell: what was under way, and what is true of it until the process has ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rover_spark.deliver.progress import LoggedProgress
from rover_spark.errors import DatasetBusy
from rover_spark.face.stopping import UnderWay, interrupted
from rover_spark.ledger.lease import leased
from tests.mistakes.sight import NOISE

BATCH, OTHER = "fan_profiles.1.2", "fan_identity_graph.1.7"


@pytest.mark.parametrize(
    ("steps", "message", "remedy"),
    [
        (["planned"], f"while staging {BATCH}; nothing of it is visible", "Run export again: it goes on"),
        (["planned", "staged"], f"while publishing {BATCH}; it is staged, and a part of it may be visible", "goes on"),
        (["publishing"], f"while publishing {BATCH}; it is staged", "goes on"),
        (["redelivering", "staged"], f"while redelivering {BATCH}; each of its keys holds a whole file", "the rest"),
        (["planned", "staged", "publishing", "committed"], "no batch was under way", "Run export again."),
        (["planned", "aborted"], "no batch was under way", "Run export again."),
        (["lost"], "no batch was under way", "Run export again."),
    ],
)  # fmt: skip
def test_what_is_said_is_true_of_how_far_a_batch_is(steps: list[str], message: str, remedy: str) -> None:
    under_way = UnderWay(LoggedProgress())
    for step in steps:
        under_way.step(step, batch=BATCH)
    problem = interrupted("interrupted", "export", under_way.halt(), False)
    assert message in problem.message and remedy in problem.remedy and problem.code == "interrupted"


def test_each_batch_under_way_is_named_with_what_is_true_of_it() -> None:
    under_way = UnderWay(LoggedProgress())
    under_way.step("planned", batch=BATCH)
    under_way.step("publishing", batch=OTHER)
    said = interrupted("stopped by SIGTERM", "export", under_way.halt(), False).message
    assert f"while staging {BATCH}; nothing of it is visible; and while publishing {OTHER}" in said


@pytest.mark.parametrize(
    ("command", "words"),
    [("status", "nothing was changed"), ("check", "staging place"), ("sweep", "stays removed"), ("rerun", "status -c FILE"), ("demo", "Remove the directory"), ("accept", "no batch was under way")],
)  # fmt: skip
def test_a_command_without_batches_says_what_is_true_of_it(command: str, words: str) -> None:
    problem = interrupted("interrupted", command, {}, False)
    assert words in f"{problem.message} {problem.remedy}" and f"Run {command} again." in problem.remedy
    assert "nothing was done" in interrupted("interrupted", command, {}, True).message


def test_no_batch_goes_further_once_it_was_said_how_far_it_is() -> None:
    under_way = UnderWay(LoggedProgress())
    under_way.step("planned", batch=BATCH)
    under_way.halt()
    thread = threading.Thread(target=under_way.step, args=("staged",), kwargs={"batch": BATCH}, daemon=True)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive(), "the step would be followed by what is visible"


@contextmanager
def begun(config: Path) -> Iterator[subprocess.Popen[str]]:
    """`rover-spark status`, as soon as it handles SIGTERM by itself."""
    command = [sys.executable, "-m", "rover_spark", "status", "-c", str(config)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, text=True, cwd=Path(__file__).parents[2], **streams)  # type: ignore[call-overload]
    try:
        caught, end = 0, time.monotonic() + 60
        while not caught & 1 << (signal.SIGTERM - 1):
            assert process.poll() is None and time.monotonic() < end
            found = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
            caught = int(found[1], 16) if found else 0
        yield process
    finally:
        process.kill()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc to look at")
@pytest.mark.parametrize(
    ("number", "code", "later"), [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 0.2), (signal.SIGINT, 130, 1.5)]
)  # fmt: skip
def test_a_signal_at_the_very_beginning_leaves_no_stack_trace(
    number: int, code: int, later: float, tmp_path: Path
) -> None:
    config = tmp_path / "acme.toml"
    config.write_text(
        f'name = "acme"\ndestination = "file://{tmp_path}/b"\nledger = "{tmp_path}/l"\n'
        f'[datasets.fan_profiles]\ntable = "{tmp_path}/p"\n'
    )
    with begun(config) as process:
        time.sleep(later)
        os.kill(process.pid, number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert not NOISE.search(said) and len(said.splitlines()) <= 3, said


_NOBODY_READS = """
import os, signal, time
from rover_spark.face import stopping
from rover_spark.deliver.progress import LoggedProgress
stopping._LAST_WORD_SECONDS = 0.5
under_way = stopping.UnderWay(LoggedProgress())
with stopping.Signals("verify", under_way, lambda problem: time.sleep(600), lambda: None).held():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)
"""


def test_a_process_whose_last_word_nobody_reads_ends_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", _NOBODY_READS], cwd=Path(__file__).parents[2], timeout=60)
    assert done.returncode == 143


@pytest.mark.parametrize(
    ("command", "words"), [("export", "Nothing to do"), ("rerun", "This rerun did nothing"), ("accept", "run it again")]
)  # fmt: skip
def test_a_busy_dataset_says_what_became_of_the_command(command: str, words: str, tmp_path: Path) -> None:
    lock = tmp_path / "acme.fan_profiles.lock"
    with (
        leased(lock, "fan_profiles"),
        pytest.raises(DatasetBusy) as busy,
        leased(lock, "fan_profiles", command),
    ):
        pass
    assert words in busy.value.remedy
