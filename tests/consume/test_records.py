"""Records by the contract: what is wrong with a line; and that many lines at once give the same answer."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rover_spark.consume import columns as fast
from rover_spark.consume.checked import checked
from rover_spark.consume.columns import Columns, columns
from rover_spark.consume.records import DATASETS, BadLine, Record, judged, records
from tests.consume.written import record, text

NAMES = sorted(DATASETS)


def codes(line: bytes, dataset: str = "fan_profiles") -> list[str]:
    return [each.code for each in judged(line, DATASETS[dataset]).wrong]


def changed(dataset: str = "fan_profiles", **fields: Any) -> bytes:
    return json.dumps({**record(dataset, 1), **fields}).encode()


def held(lines: bytes, dataset: str) -> Columns | None:
    return columns(lines, lines.count(b"\n") + (not lines.endswith(b"\n")), dataset)


def without(name: str, dataset: str = "fan_profiles") -> bytes:
    fields = record(dataset, 1)
    del fields[name]
    return json.dumps(fields).encode()


@pytest.mark.parametrize("dataset", NAMES)
def test_a_record_of_another_program_is_right(dataset: str) -> None:
    rows = [record(dataset, number) for number in range(50)]
    for line in text(rows).splitlines():
        assert codes(line, dataset) == []
    found = held(text(rows), dataset)
    assert found is not None
    assert found.ids == [each["id"] for each in rows]
    assert found.emitted == [each["emittedAt"] for each in rows]
    assert found.times == [each[DATASETS[dataset].event_time] for each in rows]


@pytest.mark.parametrize("dataset", NAMES)
def test_other_orders_and_additional_fields_are_tolerated(dataset: str) -> None:
    rows = [{"new": [{"a": 1}], **dict(reversed(record(dataset, n).items()))} for n in range(3)]
    assert held(text(rows), dataset) is not None
    assert all(codes(line, dataset) == [] for line in text(rows).splitlines())


WRONG = {
    "array": (b'[{"id": 1}]', ["not_object"]),
    "number": (b"1", ["not_object"]),
    "blank": (b"", ["json_invalid"]),
    "cut": (b'{"id": "', ["json_invalid"]),
    "two on a line": (b"{} {}", ["json_invalid"]),
    "not a number": (changed(x=float("nan")), ["json_invalid"]),
    "deep": (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ["json_invalid"]),
    "latin-1": (changed().replace(b"Zo\\u00eb", b"Zo\xeb"), ["utf8_invalid"]),
    "surrogate octets": (changed().replace(b"Zo\\u00eb", b"\xed\xa0\x80"), ["utf8_invalid"]),
    "mark": (b"\xef\xbb\xbf" + changed(), ["bom"]),
    "carriage return": (changed() + b"\r", ["crlf"]),
    "no id": (without("id"), ["field_missing"]),
    "no event time": (without("updatedAt"), ["field_missing"]),
    "no traits": (without("traits"), ["field_missing"]),
    "id null": (changed(id=None), ["field_type"]),
    "id short": (changed(id="abc"), ["id_malformed"]),
    "id with a newline": (changed(id="a" * 31 + "\n"), ["id_malformed"]),
    "id blank": (changed(id=" " * 32), ["id_malformed"]),
    "version text": (changed(version="1"), ["field_type"]),
    "version true": (changed(version=True), ["field_type"]),
    "version two": (changed(version=2), ["version_unknown"]),
    "no uuid": (changed(roverID="fan-1"), ["uuid_malformed"]),
    "uuid with misplaced hyphens": (
        changed(roverID="0123456-70123-0123-0123-0123456789ab"),
        ["uuid_malformed"],
    ),
    "emittedAt number": (changed(emittedAt=1), ["field_type"]),
    "emittedAt local": (changed(emittedAt="2026-11-21T04:05:06"), ["time_malformed"]),
    "emittedAt of Feb 30": (changed(emittedAt="2026-02-30T04:05:06.123456Z"), ["time_malformed"]),
    "event time of hour 24": (changed(updatedAt="2026-11-21T24:00:00.123456Z"), ["time_malformed"]),
    "event time of minute 60": (changed(updatedAt="2026-11-21T23:60:00.123456Z"), ["time_malformed"]),
    "event time in other digits": (changed(updatedAt="2026-11-21T23:0٣:00.123456Z"), ["time_malformed"]),
    "traits array": (changed(traits=[]), ["field_type"]),
    "traits null": (changed(traits=None), ["field_type"]),
    "traits text": (changed(traits="{}"), ["field_type"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_line_has_its_code(name: str) -> None:
    line, wanted = WRONG[name]
    assert codes(line) == wanted


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_many_lines_with_a_wrong_one_are_judged_one_by_one(name: str, place: int) -> None:
    lines = [changed(), changed()]
    lines.insert(place, WRONG[name][0])
    assert held(b"\n".join(lines) + b"\n", "fan_profiles") is None


def test_operations_are_those_of_the_contract() -> None:
    assert codes(changed("fan_identity_graph", operation="upsert"), "fan_identity_graph") == [
        "operation_unknown"
    ]
    assert codes(without("operation", "fan_identity_graph"), "fan_identity_graph") == ["field_missing"]
    assert codes(changed("fan_profile_merges", mergedRoverID="x"), "fan_profile_merges") == ["uuid_malformed"]
    assert held(changed("fan_identity_graph", operation="upsert"), "fan_identity_graph") is None
    assert held(changed("fan_profile_merges", mergedRoverID="x" * 36), "fan_profile_merges") is None


def test_a_tombstone_needs_no_traits() -> None:
    fields = {**record("fan_profiles", 1), "deleted": True}
    del fields["traits"]
    assert codes(json.dumps(fields).encode()) == []
    assert held(json.dumps(fields).encode(), "fan_profiles") is not None
    fields["deleted"] = False
    assert codes(json.dumps(fields).encode()) == ["field_missing"]
    assert held(json.dumps(fields).encode(), "fan_profiles") is None


def test_only_a_profile_has_a_tombstone() -> None:
    fields = {**record("fan_track_events", 1), "deleted": True}
    del fields["attributes"]
    line = json.dumps(fields).encode()
    assert codes(line, "fan_track_events") == ["field_missing"]
    assert held(line, "fan_track_events") is None


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.floats(), st.text(max_size=3), st.just({}), st.just([]),
    st.sampled_from(["2026-11-21T04:05:06Z", "2026-11-21T04:05:06.5+00:00", "2026-02-29T04:05:06.123456Z", "a" * 32, "A" * 32]),
    st.sampled_from(["create", "12345678-1234-1234-1234-123456789ABC", "12345678-1234-1234-1234-12345678 abc"]),
)  # fmt: skip


@given(st.sampled_from(NAMES), st.data())
def test_what_many_lines_at_once_take_is_right_line_by_line(dataset: str, data: st.DataObject) -> None:
    fields = record(dataset, 1)
    for name in data.draw(st.lists(st.sampled_from([*fields, "namespace", "device", "deleted"]), max_size=2)):
        fields[name] = data.draw(VALUES)
    line = json.dumps(fields, ensure_ascii=data.draw(st.booleans())).encode(errors="surrogatepass")
    octets = data.draw(st.sampled_from([b"", b"\n", b" ", b"}\n{", b"\xff", b"\\u0000", b'"', b"\\ud800"]))
    place = data.draw(st.integers(0, len(line)))
    for tried in (line, line[:place] + octets + line[place:]):
        right = all(not codes(each, dataset) for each in tried.split(b"\n"))
        if held(tried + b"\n", dataset) is not None:
            assert right, tried


def test_without_msgspec_every_line_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "msgspec", None)
    assert held(changed(), "fan_profiles") is None


@given(st.lists(st.sampled_from(["right", "wrong", "long"]), max_size=12), st.booleans(), st.booleans())
def test_right_lines_come_together_and_wrong_ones_with_their_numbers(
    kinds: list[str], ended: bool, fast_way: bool
) -> None:
    made = {"right": changed(), "wrong": b"[]", "long": b"x" * 1001}
    text = b"\n".join(made[kind] for kind in kinds) + (b"\n" if ended and kinds else b"")
    with pytest.MonkeyPatch.context() as patch:
        if not fast_way:
            patch.setattr(fast, "msgspec", None)
        found = list(checked(io.BytesIO(gzip.compress(text)), DATASETS["fan_profiles"], line_bytes=1000))
    numbered = dict[int, str]()
    for each in found:
        if isinstance(each, BadLine):
            numbered[each.number] = "long" if each.wrong[0].code == "line_too_long" else "wrong"
            assert each.line == (b"" if numbered[each.number] == "long" else b"[]")
        else:
            assert each.newlines + (not each.text.endswith(b"\n")) == each.count
            numbered |= {number: "right" for number, line in each.lines() if line == made["right"]}
    assert numbered == dict(enumerate(kinds, 1))


def test_a_bad_line_stops_nothing_and_has_its_number() -> None:
    packed = gzip.compress(changed() + b"\n[]\n" + changed())
    found = list(records(io.BytesIO(packed), DATASETS["fan_profiles"], line_bytes=1000))
    assert [type(each) for each in found] == [Record, BadLine, Record]
    assert [each.number for each in found] == [1, 2, 3]
    packed = gzip.compress(b"x" * 1001 + b"\n")
    (long,) = records(io.BytesIO(packed), DATASETS["fan_profiles"], line_bytes=1000)
    assert isinstance(long, BadLine) and long.wrong[0].code == "line_too_long"
