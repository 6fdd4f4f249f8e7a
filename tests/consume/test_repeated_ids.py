"""conform: the same record again, whatever emitted it, and records of one id that are not compared, in bounded memory."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rover_spark.consume import columns
from rover_spark.consume.conform import doubled, ids, run
from tests.consume.test_conform import PROFILES, ROWS, codes, held, packed, uncompared
from tests.consume.written import AT, key, put, rover_bucket, text


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return rover_bucket(tmp_path)


def emitted(row: dict[str, Any], second: int) -> dict[str, Any]:
    return {**row, "emittedAt": f"{AT + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}"}


def nested(row: dict[str, Any], said: str) -> dict[str, Any]:
    return {**row, "traits": {"emittedAt": said, "text": '"emittedAt": "\\', "list": ["emittedAt"]}}


def last(row: dict[str, Any]) -> dict[str, Any]:
    """With emittedAt behind everything else."""
    return {name: row[name] for name in sorted(row, key="emittedAt".__eq__)}


AGAIN: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], bool]] = {
    "every record at a time of its own": (
        [emitted(row, number) for number, row in enumerate(ROWS)],
        [emitted(row, 99 + number) for number, row in enumerate(ROWS)],
        True,
    ),
    "all at once, with another emittedAt deeper": (
        [nested(row, "a") for row in ROWS],
        [nested(emitted(row, 9), "a") for row in ROWS],
        True,
    ),
    "each at its time, with another emittedAt before": (
        [last(nested(emitted(row, number), "a")) for number, row in enumerate(ROWS)],
        [last(nested(emitted(row, 99 + number), "a")) for number, row in enumerate(ROWS)],
        True,
    ),
    "another emittedAt deeper, which is that of the record": (
        [nested(row, row["emittedAt"]) for row in ROWS],
        [nested(emitted(row, 9), emitted(row, 9)["emittedAt"]) for row in ROWS],
        False,
    ),
    "the same before the record's": (
        [last(nested(emitted(row, 0), emitted(row, 0)["emittedAt"])) for row in ROWS],
        [last(nested(emitted(row, 9), emitted(row, 9)["emittedAt"])) for row in ROWS],
        False,
    ),
}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("name", AGAIN)
def test_only_the_time_at_which_a_record_itself_was_emitted_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fast: bool
) -> None:
    if not fast:
        monkeypatch.setattr(columns, "msgspec", None)
    first, again, same = AGAIN[name]
    put(tmp_path, PROFILES, packed(first))
    put(tmp_path, key("fan_profiles", AT, "z9"), packed(again))
    assert codes(held(tmp_path)) == ({} if same else {"id_differs": 30})
    # and without a second look
    monkeypatch.setattr(doubled, "COMPARED", 0)
    found = held(tmp_path)
    assert (found.breaches, uncompared(found)) == ((), 0 if same else 30)


DEEP = {**ROWS[0], "traits": {"a": 0, "b": 1}}


DEEPER = text([DEEP]).replace(b'"a": 0', b'"a": ' + b"[" * 100_000 + b"]" * 100_000)
SECOND: dict[str, tuple[bytes, dict[str, int], int, int]] = {
    "a byte order mark": (b"\xef\xbb\xbf" + text(ROWS[:1]), {"bom": 1}, 1, 0),
    "the id in upper case": (text([{**ROWS[0], "id": ROWS[0]["id"].upper()}]), {}, 1, 0),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_second_record_of_an_id_is_compared_as_what_it_says(bucket: Path, name: str) -> None:
    line, wanted, repeats, unknown = SECOND[name]
    put(bucket, key("fan_profiles", AT, "z9"), packed(line))
    found = held(bucket)
    assert codes(found) == wanted
    assert (sum(each.repeats for each in found.datasets), uncompared(found)) == (repeats, unknown)


@pytest.mark.parametrize("then", [b"[1]", b'{"id":', b"", None, DEEPER])
def test_what_cannot_be_read_again_is_not_compared_and_stops_nothing(
    bucket: Path, monkeypatch: pytest.MonkeyPatch, then: bytes | None
) -> None:
    other = bucket / key("fan_profiles", AT, "z9")
    put(bucket, key("fan_profiles", AT, "z9"), packed([DEEP]))
    whole = run.compare

    def later(*rest: Any) -> Any:
        other.write_bytes(packed(then)) if then is not None else other.unlink(missing_ok=True)
        return whole(*rest)

    monkeypatch.setattr(run, "compare", later)
    found = held(bucket)
    assert (found.breaches, uncompared(found)) == ((), 1)


def test_ids_with_other_contents_are_compared_up_to_a_bound(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, key("fan_profiles", AT, "z9"), packed([{**each, "traits": {}} for each in ROWS]))
    for of_a_part, of_a_dataset, least in ((3, 20_000, 3), (10_000, 3, 3)):
        monkeypatch.setattr(ids, "_DOUBLED", of_a_part)
        monkeypatch.setattr(doubled, "COMPARED", of_a_dataset)
        found = held(bucket)
        assert (codes(found), uncompared(found)) == ({"id_differs": least}, 30 - least)


def test_a_part_of_many_ids_is_read_back_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, count = ids._READ, 10_000
    monkeypatch.setattr(ids, "_READ", 1 << 17)
    monkeypatch.setattr(ids, "_CHUNK", 28 << 8)
    spill = ids.Spill(tmp_path, 1)
    some = b"".join((number << 96 | number * 7919).to_bytes(16, "big") for number in range(count))
    for file in range(2):
        spill.add(0, file, some, [7] * count, range(count))
    spill.flush()
    tracemalloc.start()
    found = ids.repeats(tmp_path, 0, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.equal, found.doubled) == (count, ())
    assert peak / ids._READ * usual < 150 << 20
