"""The native engine by itself: what it reads of a log, in which pieces, and as of when. No Spark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from rover_spark.delta.log import folder
from rover_spark.delta.log.entry import entry_of, info_of
from rover_spark.delta.log.folder import Directory, Objects
from rover_spark.delta.log.native import NativeLog
from rover_spark.delta.log.times import begins, rising
from rover_spark.delta.storage import Reached
from tests.delta import zoo

SPARK: Any = None  # nothing here reaches it


def test_a_log_is_read_as_it_was_when_it_was_opened(tmp_path: Path) -> None:
    zoo.times_that_do_not_rise(SPARK, tmp_path)
    log = NativeLog(str(tmp_path), Reached(str(tmp_path)))
    before = log.detail(), log.commits(None, 0)
    turned_on = zoo.made({"delta.enableInCommitTimestamps": "true"})
    zoo.commit(tmp_path, 7, zoo.info(inCommitTimestamp=5), *turned_on)
    assert (log.detail(), log.commits(None, 0)) == before
    assert NativeLog(str(tmp_path), Reached(str(tmp_path))).commits(None, None)[-1].version == 7


def test_the_newest_version_is_known_by_the_names_of_files(tmp_path: Path) -> None:
    zoo.times_that_do_not_rise(SPARK, tmp_path)
    log = NativeLog(str(tmp_path), Reached(str(tmp_path)))
    newest = log.commits(None, None)[-1].version
    assert [log.ends_at(newest + more) for more in (-1, 0, 1)] == [False, True, False]
    (tmp_path / "_delta_log" / f"{newest:020d}.json").unlink()
    assert not log.ends_at(newest), "it was made anew, or cleaned"


def test_of_a_large_commit_only_the_first_line_is_read_for_its_own_words() -> None:
    def lines() -> Iterator[bytes]:
        yield b"\n"
        yield json.dumps(zoo.info("MERGE", operationMetrics={"numOutputRows": "12"})).encode()
        raise AssertionError("a second line was read")

    found = info_of(lines())
    assert found is not None and (found.operation, found.rows) == ("MERGE", 12)


@pytest.mark.parametrize("line", [b"[]", b"1", b'{"add": ', b"\xff", b"null"])
def test_a_damaged_line_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        entry_of(1, [line])


def test_objects_are_listed_and_read_like_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_PIECE", 7)
    store, log = MemoryStore(), tmp_path / "_delta_log"
    (log / "_sidecars").mkdir(parents=True)
    names = [f"{version:020d}.json" for version in range(12)]
    beside = [
        f"{3:020d}.crc",
        f"{8:020d}.checkpoint.parquet",
        "_last_checkpoint",
        f"_sidecars/{9:020d}.parquet",
    ]
    for name in (*names, *beside):
        text = "".join(f'{{"n": "{n} é"}}\n' for n in range(1 + len(name) % 3)).rstrip("\n" * (len(name) % 2))
        (log / name).write_text(text)
        obstore.put(store, f"_delta_log/{name}", text.encode())
    files, objects = Directory(str(tmp_path)), Objects(store, whole_seconds=True)
    for first in (0, 3, 8, 9, 12):
        near, far = files.files(first), objects.files(first)
        assert [(each.name, each.size) for each in near] == [(each.name, each.size) for each in far]
        assert all(each.at % 1000 == 0 for each in far)
    for name in names:
        near_text, far_text = (b"".join(each.lines(name)).replace(b"\n", b"") for each in (files, objects))
        assert near_text == far_text != b""
        assert [line.strip() for line in files.lines(name)] == [line.strip() for line in objects.lines(name)]


def test_where_a_listing_begins_and_how_times_rise() -> None:
    assert begins(list(range(200)), None) == 104
    assert [begins(list(range(200)), reach) for reach in (150, 104, 103, 50, -9)] == [104, 104, 8, 0, 0]
    assert begins(list(range(90, 200)), 95) == 0, "before the first that is left"
    assert begins(list(range(150, 200)), 100) == 5
    assert rising([(3, 10), (4, 9), (5, 9), (6, 12), (7, 20)]) == {3: 10, 4: 11, 5: 12, 6: 13, 7: 20}
