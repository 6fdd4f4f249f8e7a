"""conform: passes on what another program wrote by the contract, and names exactly the breach for each kind of damage."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import multiprocessing
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pytest

from rover_spark.consume import columns
from rover_spark.consume.conform import doubled, examine, ids, manifests, run, workers
from rover_spark.consume.conform.report import CODES, Breach, Conformed
from rover_spark.consume.conform.run import abandon, conform
from rover_spark.consume.place import open_place
from rover_spark.errors import RunError
from rover_spark.store import ObjectInfo, memory
from rover_spark.store.local import LocalStore
from tests.consume.written import (
    AT,
    DATASETS,
    PLACE,
    SCHEMA,
    container,
    currents_bucket,
    event_key,
    event_time,
    events,
    key,
    put,
    record,
    rover_bucket,
    text,
)

NOW = AT + timedelta(days=1)
PROFILES = key("fan_profiles")
EVENTS = event_key(20)
ROWS = [record("fan_profiles", number) for number in range(30)]


def held(root: Path, **options: Any) -> Conformed:
    return conform(open_place(str(root)), now=NOW, **options)


def codes(found: Conformed) -> dict[str, int]:
    return {each.code: each.count for each in found.breaches}


def uncompared(found: Conformed) -> int:
    return sum(each.uncompared for each in found.datasets)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """One export of each contract in a bucket."""
    rover_bucket(tmp_path)
    return currents_bucket(tmp_path)


# -- what is right -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
def test_files_of_another_program_pass(tmp_path: Path, codec: str) -> None:
    rover_bucket(tmp_path)
    currents_bucket(tmp_path, codec=codec)
    found = held(tmp_path)
    assert found.breaches == ()
    counts = {each.dataset: (each.files, each.read, each.records) for each in found.datasets}
    assert counts == {
        **dict.fromkeys(DATASETS, (2, 2, 60)),
        "users.behaviors.CustomEvent": (3, 3, 60),
        "users.messages.email.Open": (3, 3, 60),
    }


def test_an_empty_bucket_breaks_nothing(tmp_path: Path) -> None:
    assert held(tmp_path) == Conformed((), (), 0, 0)


def test_what_is_no_part_of_an_export_is_counted_and_left_alone(bucket: Path) -> None:
    put(bucket, "_rover_staging/acme/x", b"\0")
    put(bucket, "reports/2026.csv", b"a,b")
    found = held(bucket)
    assert (found.breaches, found.others) == ((), 1)  # the store itself hides its staging


def test_the_same_file_under_another_name_is_counted_as_repeats(bucket: Path) -> None:
    put(bucket, key("fan_profiles", AT + timedelta(minutes=9), "b2"), (bucket / PROFILES).read_bytes())
    put(bucket, event_key(900), (bucket / EVENTS).read_bytes())
    found = held(bucket)
    assert found.breaches == ()
    assert {each.dataset: each.repeats for each in found.datasets if each.repeats} == {
        "fan_profiles": 30,
        "users.behaviors.CustomEvent": 20,
    }


def test_a_record_that_was_emitted_twice_is_a_repeat_in_any_order_of_fields(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = AT + timedelta(minutes=9)
    again = [{**record("fan_profiles", 0, at)}, dict(reversed(record("fan_profiles", 1, at).items()))]
    put(bucket, key("fan_profiles", at, "b2"), gzip.compress(text(again)))
    found = held(bucket)
    assert found.breaches == ()
    assert sum(each.repeats for each in found.datasets) == 2
    # only another order of fields takes a second look; what does not get it is not compared, which breaks nothing
    monkeypatch.setattr(doubled, "COMPARED", 0)
    found = held(bucket)
    assert (found.breaches, uncompared(found)) == ((), 1)


def test_schema_ids_and_offsets_are_those_of_an_event_type(tmp_path: Path) -> None:
    put(tmp_path, event_key(0), container(events(0, 20)))
    put(tmp_path, event_key(0, "users.messages.email.Open"), container(events(20, 20), OTHER_SCHEMA))
    put(tmp_path, event_key(1), container(events(40, 20)))  # the contract does not say what an offset counts
    put(tmp_path, event_key(0, at=AT + timedelta(hours=1)), container(events(60, 20)))
    put(tmp_path, event_key(0, partition=1), container(events(80, 20)))
    assert held(tmp_path).breaches == ()


def test_an_event_that_comes_again_under_a_wider_schema_is_a_repeat(bucket: Path) -> None:
    again = container(events(20, 20), OTHER_SCHEMA)
    put(bucket, event_key(900, schema_id=2), again)
    found = held(bucket)
    assert found.breaches == ()
    assert sum(each.repeats for each in found.datasets) == 20


def test_hours_and_samples_narrow_what_is_read(bucket: Path) -> None:
    (bucket / PROFILES).write_bytes(b"broken")
    assert codes(held(bucket)) == {"not_gzip": 1}
    late = held(bucket, since=AT + timedelta(hours=1))
    assert late.breaches == () and all(each.files == 1 for each in late.datasets)
    some = held(bucket, sample=1)
    assert {(each.files, each.read) for each in some.datasets} == {(2, 1), (3, 1)}


def test_the_answer_does_not_depend_on_msgspec(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        bucket,
        key("fan_profiles", AT, "z9"),
        gzip.compress(text([{**ROWS[3], "traits": {}}, ROWS[4]]) + b"x\n"),
    )
    wanted = held(bucket)
    monkeypatch.setattr(columns, "msgspec", None)
    assert held(bucket) == wanted and codes(wanted) == {"id_differs": 1, "json_invalid": 1}


def test_the_answer_does_not_depend_on_the_number_of_processes(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, key("fan_profiles", AT, "z9"), gzip.compress(text([{**ROWS[3], "traits": {}}]) * 5 + b"x\n"))
    put(bucket, event_key(70), b"PAR1")
    monkeypatch.setattr("rover_spark.consume.conform.run.SMALL", 0)
    monkeypatch.setattr(workers, "_TASK_FILES", 1)
    one, two = held(bucket, processes=1), held(bucket, processes=2)
    assert one == two
    assert codes(one) == {"id_differs": 5, "json_invalid": 1, "not_avro": 1}


def test_a_run_leaves_nothing_behind_also_where_it_is_abandoned(
    bucket: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(home))
    seen = []

    def leave(records: int, size: int) -> None:
        seen.append(len(list(home.iterdir())))
        abandon()
        seen.append(len(list(home.iterdir())))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        held(bucket, notice=leave)
    assert seen == [1, 0]
    assert held(bucket).breaches == () and list(home.iterdir()) == []


# -- what is damaged -----------------------------------------------------------------------------------------------


def packed(rows: list[Any] | bytes) -> bytes:
    return gzip.compress(rows if isinstance(rows, bytes) else text(rows))


def rows(**fields: Any) -> bytes:
    """A file whose third record has other fields."""
    changed = [dict(each) for each in ROWS]
    changed[2] |= fields
    return packed(changed)


def lines(change: Callable[[list[bytes]], object]) -> bytes:
    found = text(ROWS).split(b"\n")[:-1]
    change(found)
    return packed(b"\n".join(found) + b"\n")


def lacking(name: str) -> bytes:
    changed = [dict(each) for each in ROWS]
    del changed[2][name]
    return packed(changed)


WHOLE = packed(ROWS)
AVRO = container(events(20, 20))
BLOCK = AVRO.index(AVRO[-16:]) + 16  # after the header


def event(**fields: Any) -> bytes:
    found = events(20, 20)
    found[2] |= fields
    return container(found)


OTHER_SCHEMA = {
    **SCHEMA,
    "fields": [*SCHEMA["fields"], {"name": "new", "type": ["null", "int"], "default": None}],
}
NO_ID = {**SCHEMA, "fields": SCHEMA["fields"][1:]}
DAMAGE: dict[str, tuple[str, bytes, dict[str, int]]] = {
    # keys
    "a marker among the files": ("exports/fan_profiles/_SUCCESS", b"", {"key_malformed": 1}),
    "an unknown dataset": (PROFILES.replace("fan_profiles", "fan_orders"), WHOLE, {"key_malformed": 1}),
    "another dataset in the name": (PROFILES.replace("/fan_profiles-", "/fan_track_events-"), b"", {"key_malformed": 1}),
    "a day that does not exist": (PROFILES.replace("11-21/", "11-31/"), WHOLE, {"key_malformed": 1}),
    "a stamp of the year 9999": (PROFILES.replace("20261121T", "99991231T"), WHOLE, {"key_malformed": 1}),
    "an offset of 64 bits": (event_key(2**63), AVRO, {"key_malformed": 1}),
    "the last offset there is": (event_key(2**63 - 1), b"PAR1", {"not_avro": 1}),
    "no Avro among the events": (EVENTS.replace(".avro", ".json"), b"{}", {"key_malformed": 1}),
    # gzip
    "an empty object": (PROFILES, b"", {"file_empty": 1}),
    "no records": (PROFILES, gzip.compress(b""), {"file_empty": 1}),
    "no gzip": (PROFILES, text(ROWS), {"not_gzip": 1}),
    "zlib": (PROFILES, zlib.compress(text(ROWS)), {"not_gzip": 1}),
    "cut short": (PROFILES, WHOLE[:-9], {"gzip_cut": 1}),
    "a bit turned": (PROFILES, WHOLE[:-5] + bytes([WHOLE[-5] ^ 1]) + WHOLE[-4:], {"not_gzip": 1}),
    "two members": (PROFILES, packed(ROWS[:9]) + packed(ROWS[9:]), {"gzip_trailing": 1}),
    "octets after the member": (PROFILES, WHOLE + b"\0", {"gzip_trailing": 1}),
    # lines
    "latin-1": (PROFILES, lines(lambda all: all.__setitem__(2, all[2].replace("ë".encode(), b"\xeb"))), {"utf8_invalid": 1}),
    "a byte order mark": (PROFILES, packed(b"\xef\xbb\xbf" + text(ROWS)), {"bom": 1}),
    "carriage returns": (PROFILES, packed(text(ROWS).replace(b"\n", b"\r\n")), {"crlf": 30}),
    "a blank line": (PROFILES, lines(lambda all: all.insert(2, b"")), {"json_invalid": 1}),
    "half a record": (PROFILES, packed(text(ROWS)[:-20]), {"json_invalid": 1}),
    "a record on two lines": (PROFILES, packed(text(ROWS).replace(b', "version"', b',\n"version"', 1)), {"json_invalid": 2}),
    "two records on a line": (PROFILES, packed(text(ROWS).replace(b"}\n", b"} ", 1)), {"json_invalid": 1}),
    "one array": (PROFILES, packed(json.dumps(ROWS).encode()), {"not_object": 1}),
    "arrays": (PROFILES, packed(b"[]\n[]\n"), {"not_object": 2}),
    # envelope
    **{f"no {name}": (PROFILES, lacking(name), {"field_missing": 1}) for name in ROWS[0]},
    "an id that is a number": (PROFILES, rows(id=7), {"field_type": 1}),
    "an id that is short": (PROFILES, rows(id="7"), {"id_malformed": 1}),
    "version as text": (PROFILES, rows(version="1"), {"field_type": 1}),
    "version 2": (PROFILES, rows(version=2), {"version_unknown": 1}),
    "a fan that is no UUID": (PROFILES, rows(roverID="fan-7"), {"uuid_malformed": 1}),
    "emittedAt in local time": (PROFILES, rows(emittedAt="2026-11-21T04:05:06+01:00"), {"time_malformed": 1}),
    "emittedAt of last year": (PROFILES, rows(emittedAt="2025-11-21T04:05:06Z"), {"emitted_implausible": 1}),
    "emittedAt of the day after": (PROFILES, rows(emittedAt="2026-11-22T04:05:07Z"), {"emitted_implausible": 1}),
    "an event time in milliseconds": (PROFILES, rows(updatedAt=1_795_256_100_123), {"field_type": 1}),
    "an event time of 1969": (PROFILES, rows(updatedAt="1969-12-31T23:59:59.999999Z"), {"time_implausible": 1}),
    "an event time of 9999": (PROFILES, rows(updatedAt="9999-12-31T23:59:59.999999Z"), {"time_implausible": 1}),
    "an event time of tomorrow and more": (PROFILES, rows(updatedAt="2026-11-23T00:00:00Z"), {"time_implausible": 1}),
    "traits as text": (PROFILES, rows(traits="{}"), {"field_type": 1}),
    "an unknown operation": (
        key("fan_identity_graph"),
        packed([{**record("fan_identity_graph", 0), "operation": "upsert"}]),
        {"operation_unknown": 1},
    ),
    # ids
    "an id with other content": (PROFILES, packed([*ROWS, {**ROWS[2], "traits": {"name": "?"}}]), {"id_differs": 1}),
    "an id of another hour": (
        PROFILES,
        packed([*ROWS, {**record("fan_profiles", 35), "emittedAt": ROWS[0]["emittedAt"], "updatedAt": event_time(5)}]),
        {"id_differs": 1},
    ),
    # Avro
    "no Avro": (EVENTS, b"PAR1" + AVRO[4:], {"not_avro": 1}),
    "an empty Avro object": (EVENTS, b"", {"file_empty": 1}),
    "no events": (EVENTS, container([]), {"file_empty": 1}),
    "an Avro file cut short": (EVENTS, AVRO[:-5], {"avro_cut": 1}),
    "another sync marker": (EVENTS, AVRO[:-1] + bytes([AVRO[-1] ^ 1]), {"sync_differs": 1}),
    "an unknown codec": (EVENTS, AVRO.replace(b"deflate", b"lz4hc__", 1), {"codec_unknown": 1}),
    "a block that is no deflate": (EVENTS, AVRO[: BLOCK + 4] + b"\xff" * 9 + AVRO[BLOCK + 13 :], {"block_broken": 1}),
    "a schema without id": (EVENTS, container(events(20, 20), NO_ID), {"schema_unresolved": 1}),
    "another schema under the same id": (EVENTS, container(events(20, 20), OTHER_SCHEMA), {"schema_differs": 1}),
    "an empty event id": (EVENTS, event(id=""), {"id_malformed": 1}),
    "an event in milliseconds": (EVENTS, event(time=2**31 - 1), {"time_implausible": 1}),
    "an event without a time": (EVENTS, event(time=0), {"time_implausible": 1}),
    "an unknown time zone": (EVENTS, event(timezone="Europe/Nowhere"), {"zone_unknown": 1}),
    "an event id with other content": (EVENTS, event(id=events(0, 1)[0]["id"]), {"id_differs": 1}),
    "an offset twice in an hour": (event_key(20, schema_id=2), container(events(500, 20)), {"offset_repeated": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_has_its_breach_and_no_other(bucket: Path, name: str) -> None:
    where, data, wanted = DAMAGE[name]
    put(bucket, where, data)
    found = held(bucket)
    assert codes(found) == wanted
    (breach,) = found.breaches
    assert breach.message == CODES[breach.code]
    assert where in breach.example.key or breach.code in {"schema_differs", "id_differs", "offset_repeated"}


@pytest.mark.parametrize(
    ("type_", "zone"),
    [
        ({"type": "array", "items": "string"}, ["Europe/Paris"]),
        ({"type": "map", "values": "string"}, {"a": "b"}),
        ("int", 1),
    ],
)
def test_a_time_zone_that_is_no_text_is_told_and_stops_nothing(tmp_path: Path, type_: Any, zone: Any) -> None:
    fields = [
        {**each, "type": type_, "default": zone} if each["name"] == "timezone" else each
        for each in SCHEMA["fields"]
    ]
    rows = [{**each, "timezone": zone} for each in events(20, 20)]
    put(tmp_path, EVENTS, container(rows, {**SCHEMA, "fields": fields}))
    assert codes(held(tmp_path)) == {"zone_unknown": 20}


def test_more_events_than_the_threshold_are_told(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "EVENTS_PER_FILE_BACKLOG", 20)
    assert held(bucket).breaches == ()
    put(bucket, event_key(900), container(events(10_000, 21)))
    assert codes(held(bucket)) == {"events_too_many": 1}


def test_a_key_that_lies_about_its_hour_is_told(bucket: Path) -> None:
    put(
        bucket,
        PROFILES.replace("hour=04", "hour=05").replace("a1", "a2"),
        packed([record("fan_profiles", 700)]),
    )
    (breach,) = held(bucket).breaches
    assert (breach.code, breach.count) == ("hour_differs", 1)
    assert breach.example.found == "lies in hour 2026-11-21 05, its stamp says 2026-11-21 04"


def test_an_example_names_the_line_and_what_is_there(bucket: Path) -> None:
    put(bucket, PROFILES, rows(roverID="fan-7"))
    (breach,) = held(bucket).breaches
    assert breach == Breach("uuid_malformed", "", "fan_profiles", CODES["uuid_malformed"], 1, breach.example)
    assert (breach.example.key, breach.example.line, breach.example.found) == (
        PROFILES,
        3,
        "has the roverID 'fan-7'",
    )


def test_a_file_that_disappears_is_told_and_stops_nothing(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = workers.examine

    def gone_first(store: Any, numbered: Any, *rest: Any) -> Any:
        if numbered.file.key == PROFILES:
            (bucket / PROFILES).unlink()
        return whole(store, numbered, *rest)

    monkeypatch.setattr(workers, "examine", gone_first)
    found = held(bucket)
    assert codes(found) == {"file_gone": 1}
    assert sum(each.records for each in found.datasets) == 330


def test_a_bomb_and_a_long_line_are_told_in_bounded_memory(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "TEXT_BYTES", 30_000_000)
    put(bucket, PROFILES, gzip.compress(b"0" * 25_000_000 + b"\n" + text(ROWS), 1))
    put(bucket, key("fan_profiles", AT, "b2"), gzip.compress(bytes(40_000_000), 1))
    assert codes(held(bucket)) == {"line_too_long": 1, "text_too_large": 1}


def test_two_exports_in_one_bucket_have_rows_of_their_own(tmp_path: Path) -> None:
    rover_bucket(tmp_path / "a")
    rover_bucket(tmp_path / "b")
    found = held(tmp_path)
    assert found.breaches == ()  # the same ids, in another export
    assert [(each.place, each.dataset) for each in found.datasets] == [
        (place, name) for place in "ab" for name in sorted(DATASETS)
    ]


def test_memory_does_not_grow_with_the_number_of_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def many(store: LocalStore, prefix: str) -> Iterator[ObjectInfo]:
        for number in range(3_000):
            yield ObjectInfo(key("fan_profiles", AT + timedelta(seconds=number), f"{number:032x}"), 100)

    monkeypatch.setattr(LocalStore, "listing", many)
    held(tmp_path, sample=1)  # what is loaded once is no part of it
    tracemalloc.start()
    found = held(tmp_path, sample=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.datasets[0].files, codes(found)) == (3_000, {"file_gone": 2})
    assert peak < 500_000


def test_a_hostile_name_of_a_file_is_only_told(tmp_path: Path) -> None:
    rover_bucket(tmp_path)
    put(tmp_path, "exports/fan_profiles/\udcff\x1b[31m", b"")
    put(tmp_path, "exports/fan_profiles/'; DROP TABLE files; --", b"")
    assert codes(held(tmp_path)) == {"key_malformed": 2}


# -- ids -----------------------------------------------------------------------------------------------------------


def test_ids_are_compared_whatever_their_number_of_parts_and_shares(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = [{**each, "traits": {}} if number % 3 == 0 else each for number, each in enumerate(ROWS)]
    put(bucket, key("fan_profiles", AT, "z9"), packed(again))
    wanted = held(bucket)
    assert codes(wanted) == {"id_differs": 10}
    assert sum(each.repeats for each in wanted.datasets) == 20
    for parts, read, chunk in ((1, 28, 28), (7, 64, 84), (256, 10_000, 28 << 16)):
        monkeypatch.setattr("rover_spark.consume.conform.run.parts_of", lambda records, parts=parts: parts)
        monkeypatch.setattr(ids, "_READ", read)
        monkeypatch.setattr(ids, "_CHUNK", chunk)
        assert held(bucket) == wanted


def test_of_an_id_only_some_contents_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_CONTENTS", 5)
    spill = ids.Spill(tmp_path, 1)
    spill.add(0, 7, bytes(16) * 99, [*range(98), 3], range(1, 100))
    spill.flush()
    found = ids.repeats(tmp_path, 0, 0)
    assert found.doubled == (tuple(ids.Content(7, line, 1 + (line == 4)) for line in range(1, 6)),)
    assert (found.equal, found.uncompared) == (1, 93)


def test_an_id_with_thousands_of_contents_is_counted_in_bounded_memory(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "_CONTENTS", 5)
    monkeypatch.setattr(doubled, "COMPARED", 1)
    put(
        bucket,
        key("fan_profiles", AT, "z9"),
        packed([{**ROWS[0], "traits": {"n": number}} for number in range(99)]),
    )
    found = held(bucket)
    assert codes(found) == {"id_differs": 4}
    assert (sum(each.breaches for each in found.datasets), uncompared(found)) == (4, 95)


# -- what is wrong here, and not in the bucket ---------------------------------------------------------------------


@pytest.mark.parametrize("then", ["spill", "read back"])
def test_a_temporary_directory_that_is_full_or_gone_is_no_breach(
    bucket: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    home = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(home))
    if then == "spill":
        monkeypatch.setattr(ids, "_AT_ONCE", 1)  # while the file is read
        monkeypatch.setattr(ids.Spill, "__init__", gone(ids.Spill.__init__))
    else:
        monkeypatch.setattr(ids, "_entries", gone(ids._entries))
        put(bucket, key("fan_profiles", AT, "b2"), (bucket / PROFILES).read_bytes())
    with pytest.raises(RunError, match=r"the temporary directory .*rover-conform-.* cannot be used") as found:
        held(bucket)
    assert found.value.code == "file_refused" and "TMPDIR" in found.value.remedy


def gone(whole: Callable[..., Any]) -> Callable[..., Any]:
    """After the call the temporary directories are no more."""

    def call(*arguments: Any) -> Any:
        found = whole(*arguments)
        abandon()
        return found

    return call


def test_a_process_that_is_ended_from_outside_is_one_plain_error(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(records: int, size: int) -> None:
        for each in multiprocessing.active_children():
            each.kill()
            each.join()

    monkeypatch.setattr(run, "SMALL", 0)
    monkeypatch.setattr(workers, "_TASK_FILES", 1)
    monkeypatch.setattr(workers, "_WAITING", 1)
    with pytest.raises(RunError, match="ended from outside") as found:
        held(bucket, processes=2, notice=kill)
    assert found.value.code == "process_ended" and "--processes" in found.value.remedy


# -- manifests -----------------------------------------------------------------------------------------------------

TOKEN = "0123456789abcdef0123456789abcd"


def instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def manifest_key(stream: str, at: datetime, number: int) -> str:
    """Written out here, so that no code of the product makes it."""
    name = "events" if stream.startswith("dataexport") else stream
    folder = stream if name == "events" else f"manifests/{stream}"
    return f"{folder}/date={at:%Y-%m-%d}/hour={at:%H}/{name}-{at:%Y%m%dT%H%M%SZ}-{TOKEN}{number:02}.json"


def manifest(
    root: Path, files: list[str], at: datetime, number: int, before: dict[str, str] | None
) -> dict[str, Any]:
    """What a manifest says of files that are there."""
    rover = files[0].startswith("exports/")
    named = []
    for name in files:
        data = (root / name).read_bytes()
        if rover:
            inside = gzip.decompress(data)
            records = inside.count(b"\n")
        else:
            blocks = list(fastavro.block_reader(io.BytesIO(data)))
            inside = b"".join(block.bytes_.getvalue() for block in blocks)
            records = sum(block.num_records for block in blocks)
        said: dict[str, Any] = {
            "key": name,
            "records": records,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "textBytes": len(inside),
            "textSha256": hashlib.sha256(inside).hexdigest(),
        }
        named.append(
            said
            if rover
            else {**said, "eventType": name.split("event_type=")[1].split("/")[0], "schemaId": 1}
        )
    stream = files[0].split("/")[1] if rover else files[0].split("/")[0]
    whose = {"dataset": stream} if rover else {"eventTypes": sorted({each["eventType"] for each in named})}
    return {
        "manifest": 1,
        "contract": "rover" if rover else "currents",
        "export": "acme",
        "batch": f"{stream}.1.{number}" if rover else f"events.1.{number}",
        **whose,
        "phase": "changes",
        "epoch": 1,
        "emittedAt": instant(at),
        "window": {"fromVersion": 1, "toVersion": 2, "fromTime": instant(at), "toTime": instant(at)},
        "columns": ["id"],
        "key": ["id"],
        "eventTime": "updatedAt" if rover else "time",
        "files": named,
        "totals": {
            "files": len(named),
            **{name: sum(each[name] for each in named) for name in ("records", "bytes", "textBytes")},
        },
        "previous": before,
    }


def put_manifest(root: Path, tree: dict[str, Any], stream: str, at: datetime, number: int) -> dict[str, str]:
    data = (json.dumps(tree) + "\n").encode()
    name = manifest_key(stream, at, number)
    put(root, name, data)
    return {"key": name, "sha256": hashlib.sha256(data).hexdigest()}


HOURS = [AT + timedelta(hours=hour) for hour in range(3)]


@pytest.fixture
def announced(tmp_path: Path) -> Path:
    """An export of Rover whose batches have manifests: three of profiles, one each hour."""
    root = rover_bucket(tmp_path / "acme", hours=3, token=TOKEN + "ff")
    before = None
    for number, at in enumerate(HOURS):
        tree = manifest(root, [key("fan_profiles", at, TOKEN + "ff")], at, number, before)
        before = put_manifest(root, tree, "fan_profiles", at, number)
    return root


def test_manifests_that_say_what_is_there_pass(announced: Path) -> None:
    put(announced, "manifests/fan_profiles/redshift/date=2026-11-21/hour=04/x.json", b'{"entries": []}')
    found = held(announced)
    assert (found.breaches, found.manifests) == ((), 3)
    assert held(announced.parent).breaches == ()  # from above, keys of manifests begin at their export
    late = held(announced, since=HOURS[1])
    assert (late.breaches, late.manifests) == ((), 2)


def test_a_file_that_waits_for_its_manifest_is_no_breach_in_its_first_hour(announced: Path) -> None:
    (announced / manifest_key("fan_profiles", HOURS[2], 2)).unlink()
    place = open_place(str(announced))
    assert conform(place, now=HOURS[2] + timedelta(minutes=30)).breaches == ()
    assert codes(conform(place, now=HOURS[2] + timedelta(minutes=90))) == {"manifest_file_unnamed": 1}


def test_manifests_at_a_place_of_their_own_are_named(announced: Path, tmp_path: Path) -> None:
    (announced / "manifests").rename(tmp_path / "elsewhere")
    (tmp_path / "place").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "place/manifests")
    (announced / key("fan_profiles", HOURS[1], TOKEN + "ff")).unlink()
    assert held(announced).breaches == ()
    found = held(announced, manifests=open_place(str(tmp_path / "place")))
    assert (codes(found), found.manifests) == ({"manifest_file_missing": 1}, 3)
    late = held(announced, manifests=open_place(str(tmp_path / "place")), since=HOURS[2])
    assert (codes(late), late.manifests) == ({}, 1)


def unlinked(*names: str) -> Callable[[Path], object]:
    return lambda root: [(root / name).unlink() for name in names]


def said(number: int, **fields: Any) -> Callable[[Path], object]:
    """Another manifest in the place of one: of its only file other things are said; the chain is mended."""

    def change(root: Path) -> None:
        before = None
        for each, at in enumerate(HOURS):
            tree = manifest(root, [key("fan_profiles", at, TOKEN + "ff")], at, each, before)
            if each == number:
                tree["files"][0] |= fields
                tree["totals"] |= {name: value for name, value in fields.items() if name in tree["totals"]}
            before = put_manifest(root, tree, "fan_profiles", at, each)

    return change


FIRST = manifest_key("fan_profiles", HOURS[0], 0)
MANIFEST = manifest_key("fan_profiles", HOURS[1], 1)
LIES: dict[str, tuple[Callable[[Path], object], dict[str, int]]] = {
    "a removed file": (unlinked(key("fan_profiles", HOURS[1], TOKEN + "ff")), {"manifest_file_missing": 1}),
    "a removed manifest": (unlinked(MANIFEST), {"manifest_missing": 1, "manifest_file_unnamed": 1}),
    "a missing batch": (
        unlinked(MANIFEST, key("fan_profiles", HOURS[1], TOKEN + "ff")),
        {"manifest_missing": 1},
    ),
    "the first manifest, whose file is there": (unlinked(FIRST), {"manifest_missing": 1}),
    # so does a bucket's own rule, and so begins a bucket that comes after another
    "the first batch": (unlinked(FIRST, key("fan_profiles", HOURS[0], TOKEN + "ff")), {}),
    "other bytes": (said(1, bytes=1), {"manifest_file_differs": 1}),
    "other records": (said(1, records=1), {"manifest_file_differs": 1}),
    "another hash": (said(1, sha256="0" * 64), {"manifest_file_differs": 1}),
    "another hash of the text": (said(1, textSha256="0" * 64), {"manifest_file_differs": 1}),
    "a changed manifest, whose file is another": (
        lambda root: (
            (root / MANIFEST).write_bytes((root / MANIFEST).read_bytes() + b" "),
            put(root, key("fan_profiles", HOURS[1], TOKEN + "ff"), WHOLE),
        ),
        {"manifest_differs": 1, "manifest_file_differs": 1},
    ),
    "another instant than in its key": (
        lambda root: (root / manifest_key("fan_profiles", HOURS[2], 2)).rename(
            put(root, manifest_key("fan_profiles", HOURS[2] + timedelta(minutes=1), 2), b"")
        ),
        {"manifest_malformed": 1, "manifest_file_unnamed": 1},
    ),
    "another dataset than in its key": (
        lambda root: put(root, manifest_key("fan_track_events", HOURS[1], 1), (root / MANIFEST).read_bytes()),
        {"manifest_malformed": 1},
    ),
    "no JSON": (
        lambda root: (root / MANIFEST).write_bytes(b"{"),
        {"manifest_malformed": 1, "manifest_missing": 1, "manifest_file_unnamed": 1},
    ),
    "a key that is none": (
        lambda root: put(root, "manifests/fan_profiles/x.json", b"{}"),
        {"manifest_malformed": 1},
    ),
    "two that follow on one": (
        lambda root: put(root, manifest_key("fan_profiles", HOURS[1], 7), (root / MANIFEST).read_bytes()),
        {"manifest_forked": 1, "manifest_file_repeated": 1},
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_each_lie_of_a_manifest_has_its_breach(announced: Path, name: str) -> None:
    change, wanted = LIES[name]
    change(announced)
    assert codes(held(announced)) == wanted


def test_a_manifest_that_changed_with_its_files_is_only_noted(announced: Path) -> None:
    changed = announced / key("fan_profiles", HOURS[1], TOKEN + "ff")
    changed.write_bytes(gzip.compress(gzip.decompress(changed.read_bytes()), 9, mtime=5))
    tree = json.loads((announced / MANIFEST).read_bytes())
    again = manifest(announced, [tree["files"][0]["key"]], HOURS[1], 1, tree["previous"])
    put_manifest(announced, again, "fan_profiles", HOURS[1], 1)
    found = held(announced)
    assert found.breaches == ()
    assert [(each.code, each.count, each.example.key) for each in found.notices] == [
        ("manifest_replaced", 1, MANIFEST)
    ]


def test_manifests_of_several_exports_at_one_place_are_apart(tmp_path: Path) -> None:
    stored: dict[str, dict[str, bytes]] = {"conform-shared": {}, "conform-control": {}}
    for export in ("acme", "beta"):
        name = key("fan_profiles", AT, TOKEN + "ff")
        put(tmp_path, name, WHOLE)
        inside = manifest(tmp_path, [name], AT, 0, None)
        inside["files"][0]["key"] = f"{export}/{name}"
        where = manifest_key("fan_profiles", AT, export == "acme")
        stored["conform-control"][where] = json.dumps(inside).encode()
        stored["conform-shared"][f"{export}/{name}"] = WHOLE
    for bucket, objects in stored.items():
        memory._BUCKETS.setdefault(bucket, {}).update(objects)
    for prefix, count in (("acme", 1), ("acme/exports/fan_profiles", 1), ("ac", 0), ("", 2)):
        place = open_place(f"memory://conform-shared/{prefix}")
        found = conform(place, now=NOW, manifests=open_place("memory://conform-control"))
        assert (codes(found), found.manifests) == ({}, count)
    del memory._BUCKETS["conform-shared"][f"acme/{name}"]
    place = open_place("memory://conform-shared/acme")
    found = conform(place, now=NOW, manifests=open_place("memory://conform-control"))
    assert codes(found) == {"manifest_file_missing": 1}


@pytest.mark.parametrize("around", ["", "acme", "acme/manifests"])
def test_manifests_of_a_bucket_are_read_once_whatever_of_it_is_named(tmp_path: Path, around: str) -> None:
    name = f"acme/{key('fan_profiles', AT, TOKEN + 'ff')}"
    put(tmp_path, name.removeprefix("acme/"), WHOLE)
    said = manifest(tmp_path, [name.removeprefix("acme/")], AT, 0, None)
    said["files"][0]["key"] = name
    memory._BUCKETS["conform-around"] = {
        name: WHOLE,
        f"acme/{manifest_key('fan_profiles', AT, 0)}": json.dumps(said).encode(),
    }
    place, manifests = open_place("memory://conform-around/acme"), f"memory://conform-around/{around}"
    found = conform(place, now=NOW, manifests=open_place(manifests))
    assert (found.breaches, found.manifests) == ((), 1)


@pytest.mark.parametrize("named", ["", "manifests", "manifests/fan_profiles"])
def test_manifests_that_are_named_once_more_are_read_once(announced: Path, named: str) -> None:
    put(announced, "other/config.json", b"{}")
    put(announced, "deploy/manifests/app.json", b"{}")
    found = held(announced, manifests=open_place(str(announced / named)))
    assert (found.breaches, found.manifests, found.others) == ((), 3, 2)


def test_the_folder_of_manifests_itself_may_be_named(announced: Path, tmp_path: Path) -> None:
    put(tmp_path, "control/x.json", b"{}")
    (announced / "manifests").rename(tmp_path / "control/manifests")
    found = held(announced, manifests=open_place(str(tmp_path / "control/manifests")))
    assert (found.breaches, found.manifests) == ((), 3)


def test_events_of_earlier_hours_than_are_listed_are_not_missed(tmp_path: Path) -> None:
    root, early = tmp_path / "acme", AT - timedelta(days=9)
    names = [event_key(0, at=early), event_key(20)]
    for name, start in zip(names, (0, 20), strict=True):
        put(root, name, container(events(start, 20, early)))
    put_manifest(tmp_path / "manifests.acme", manifest(root, names, AT, 0, None), PLACE, AT, 0)
    for since in (None, AT - timedelta(hours=1)):
        found = held(root, since=since)
        assert (found.breaches, found.manifests) == ((), 1)
    (root / names[1]).unlink()
    assert codes(held(root, since=AT - timedelta(hours=1))) == {"manifest_file_missing": 1}


def test_a_large_manifest_is_fetched_alone(announced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_at_once = []
    lots = manifests._lots

    def watched(listed: Any) -> Iterator[Any]:
        for lot in lots(listed):
            held_at_once.append(len(lot))
            yield lot

    monkeypatch.setattr(manifests, "_lots", watched)
    assert held(announced).manifests == 3
    size = (announced / MANIFEST).stat().st_size
    monkeypatch.setattr(manifests, "_FETCHED_BYTES", size * 5 // 2)
    assert held(announced).manifests == 3
    monkeypatch.setattr(manifests, "_FETCHED_BYTES", 1)
    assert held(announced).manifests == 3
    assert held_at_once == [3, 2, 1, 1, 1, 1]


def test_manifests_of_events_stand_beside_their_place(tmp_path: Path) -> None:
    root = tmp_path / "acme"
    currents_bucket(root)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.avro"))
    tree = manifest(root, files, AT, 0, None)
    put_manifest(tmp_path / "manifests.acme", tree, files[0].split("/")[0], AT, 0)
    for place in (root, tmp_path):
        found = held(place)
        assert (found.breaches, found.manifests) == ((), 1)
    (root / files[0]).write_bytes(container(events(0, 19)))
    assert codes(held(root)) == codes(held(tmp_path)) == {"manifest_file_differs": 1}
    (root / files[0]).unlink()
    assert codes(held(root)) == codes(held(tmp_path)) == {"manifest_file_missing": 1}
