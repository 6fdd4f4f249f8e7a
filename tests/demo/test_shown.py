"""What the demo shows at its end: the bucket as a tree, and commands that can be pasted."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from rover_spark.demo.next import next_commands, program_name
from rover_spark.demo.tree import bucket_tree
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.file import StagedFile


def _terminal(width: int = 160) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=width, color_system=None), out


def _file(key: str = "k", records: int = 10, octets: int = 1_000) -> StagedFile:
    return StagedFile(key, records, octets, "", 0, "", 0, 0, "")


def test_the_tree_counts_every_folder_and_cuts_long_ones() -> None:
    files = tuple(_file(f"exports/d/date=x/hour=0{n % 2}/f{n}.gz") for n in range(20))
    record = BatchRecord("d.1.1", "d", 1, 1, "snapshot", "COMMITTED", 0, {}, files=files)
    console, out = _terminal()
    console.print(bucket_tree("bucket/", [record]))
    shown = out.getvalue()
    assert "exports/d/date=x/  200 records, 20.0 kB" in shown, "folders with one folder inside are one line"
    assert "hour=00/  100 records, 10.0 kB" in shown
    assert shown.count("… 4 more files") == 2 and shown.count("f0.gz") == 1


def test_the_tree_of_a_bucket_begins_below_the_prefix_that_its_title_names() -> None:
    key = "acme/currents/acme/dataexport.prod-01.S3.integration.1/event_type={}/date=x/1/eu/f.avro"
    files = tuple(_file(key.format(name)) for name in ("a.b.Purchase", "a.b.Click"))
    record = BatchRecord("events.1.1", "events", 1, 1, "changes", "COMMITTED", 0, {}, files=files)
    console, out = _terminal(80)
    console.print(
        bucket_tree("s3://b/acme/currents/acme/", [record], 80, depth=2, prefix="acme/currents/acme")
    )
    title, folder, *types = out.getvalue().splitlines()
    assert (
        title == "s3://b/acme/currents/acme/" and "── dataexport.prod-01.S3.integration.1/  20 rec" in folder
    )
    assert ["event_type=a.b.Click/" in types[0], "event_type=a.b.Purchase/" in types[1], len(types)] == [
        True,
        True,
        2,
    ]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "bucket", [Path("rover_demo/bucket"), Path("/a/very/long/place/of/mine/" * 3 + "it's"), None]
)
def test_what_to_try_next_can_be_pasted(width: int, bucket: Path | None) -> None:
    batch = BatchRecord(
        "fan_profiles.1.2", "fan_profiles", 1, 2, "changes", "COMMITTED", 0, {}, files=(_file(),)
    )
    config = str(bucket.parent / "acme.toml") if bucket else "x y/acme.toml"
    head, *lines = next_commands(".venv/bin/rover-spark", config, [batch], bucket, width).plain.split("\n")
    assert head == "Try next:" and all(line.strip() for line in lines)
    assert all(
        cell_len(line) <= max(width, cell_len(config) + 20, cell_len(str(bucket)) + 50) for line in lines
    )
    commands = [shlex.split(each) for each in "\n".join(lines).replace("\\\n", " ").split("\n")]
    assert [each[:2] for each in commands[:4]] == [
        [".venv/bin/rover-spark", name] for name in ("status", "verify", "schemas", "redeliver")
    ]
    assert commands[0][2:] == ["-c", config] and commands[3][-1] == "fan_profiles.1.2"
    if bucket:
        assert commands[4] == ["gzip", "-dc", f"{bucket}/exports/fan_profiles/*/*/*.gz", "|", "head", "-3"]
    assert len(commands) == (5 if bucket else 4)


def test_the_program_is_named_as_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "rover-spark"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert program_name(str(program)) == program_name("bin/rover-spark") == "bin/rover-spark"
    monkeypatch.setenv("PATH", str(program.parent))
    assert program_name(str(program)) == program_name("/some/python/-c") == "rover-spark"
    monkeypatch.setenv("PATH", "/nowhere")
    (tmp_path / "else where").mkdir()
    monkeypatch.chdir(tmp_path / "else where")
    assert program_name(str(program)) == str(program)
    monkeypatch.chdir(tmp_path / "bin")
    assert program_name(str(program)) == "./rover-spark"
