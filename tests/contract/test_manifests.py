"""Completion manifests: their exact octets, their keys, and what of hostile ones is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rover_spark.contract import manifests
from rover_spark.contract.currents import Integration, currents_key
from rover_spark.contract.keys import rover_key
from rover_spark.contract.manifests import (
    Completion,
    DeliveredFile,
    ManifestKey,
    Previous,
    Window,
    key_of,
    parse,
    parse_key,
    text,
    token_of,
)
from rover_spark.contract.rover import DATASETS

UTC = timezone.utc
INSTANT = datetime(2026, 11, 21, 4, 5, 6, 789_000, UTC)
TOKEN = "0123456789abcdef0123456789abcdef"
HASH, OTHER = "a" * 64, "b" * 64
KEY = f"acme/manifests/fan_profiles/date=2026-11-21/hour=04/fan_profiles-20261121T040506Z-{TOKEN}.json"
ACME = Integration("prod-01", "S3", "acme", "zone")
EVENTS_KEY = f"out/manifests.acme/{ACME.name}/date=2026-11-21/hour=04/events-20261121T040506Z-{TOKEN}.json"


def a_file(number: int, records: int = 10) -> DeliveredFile:
    key = rover_key("acme", "fan_profiles", INSTANT, f"{number:032x}")
    return DeliveredFile(key, records, 100, HASH, 400, OTHER)


ROVER = Completion(
    contract="rover",
    export="acme",
    batch="fan_profiles.1.3",
    dataset="fan_profiles",
    event_types=(),
    phase="changes",
    epoch=1,
    emitted_at=INSTANT,
    window=Window(5, 9, INSTANT - timedelta(hours=1), INSTANT),
    columns=("id", "version", "roverID", "emittedAt", "traits", "updatedAt"),
    key=("roverID",),
    event_time="updatedAt",
    files=(a_file(1), a_file(2, 7)),
    previous=Previous(KEY, HASH),
)
EVENT = "users.behaviors.CustomEvent"
CURRENTS = replace(
    ROVER,
    contract="currents",
    batch="events.1.3",
    dataset=None,
    event_types=(EVENT,),
    window=Window(None, None, INSTANT, INSTANT),
    columns=("id", "time"),
    key=("id",),
    event_time="time",
    files=(
        DeliveredFile(
            currents_key(
                "out/acme", ACME, EVENT, INSTANT.replace(minute=0, second=0, microsecond=0), 4, 0, 15
            ),
            *(3, 100, HASH, 90, OTHER, EVENT, 4),
        ),
    ),
    previous=None,
)


def test_a_manifest_is_one_line_with_its_fields_in_their_order() -> None:
    # golden: other octets would break the hash that the next manifest holds
    assert text(replace(ROVER, files=(a_file(1),))).decode() == (
        '{"manifest":1,"contract":"rover","export":"acme","batch":"fan_profiles.1.3","dataset":"fan_profiles",'
        '"phase":"changes","epoch":1,"emittedAt":"2026-11-21T04:05:06.789Z",'
        '"window":{"fromVersion":5,"toVersion":9,"fromTime":"2026-11-21T03:05:06.789Z",'
        '"toTime":"2026-11-21T04:05:06.789Z"},'
        '"columns":["id","version","roverID","emittedAt","traits","updatedAt"],"key":["roverID"],"eventTime":"updatedAt",'
        '"files":[{"key":"acme/exports/fan_profiles/date=2026-11-21/hour=04/fan_profiles-20261121T040506Z-part-'
        f'{1:032x}.ndjson.gz","records":10,"bytes":100,"sha256":"{HASH}","textBytes":400,"textSha256":"{OTHER}"}}],'
        '"totals":{"files":1,"records":10,"bytes":100,"textBytes":400},'
        f'"previous":{{"key":"{KEY}","sha256":"{HASH}"}}}}\n'
    )


def test_a_manifest_of_events_names_types_and_schemas() -> None:
    tree = json.loads(text(CURRENTS))
    assert list(tree)[:6] == ["manifest", "contract", "export", "batch", "eventTypes", "phase"]
    assert (tree["files"][0]["eventType"], tree["files"][0]["schemaId"]) == (EVENT, 4)
    assert tree["previous"] is None
    assert tree["window"]["fromVersion"] is None


FIRST = replace(ROVER, phase="snapshot", window=Window(None, 5, None, INSTANT), previous=None)


@pytest.mark.parametrize("completion", [ROVER, CURRENTS, FIRST], ids=["rover", "currents", "first"])
def test_what_was_written_is_read(completion: Completion) -> None:
    assert parse(text(completion)) == completion


def test_fields_that_are_not_known_are_passed_over() -> None:
    tree = json.loads(text(ROVER)) | {"signature": {"size": 1.5, "n": 10**30}}
    assert parse(json.dumps(tree, indent=1).encode()) == ROVER


# -- keys --------------------------------------------------------------------------------------------------------


def test_a_key_has_the_published_form() -> None:
    assert key_of("acme", "fan_profiles", INSTANT, TOKEN) == KEY
    assert key_of("out/manifests.acme", ACME.name, INSTANT, TOKEN) == EVENTS_KEY
    assert key_of("", "fan_profiles", INSTANT, TOKEN) == KEY.removeprefix("acme/")
    stamp = f"date=2026-11-21/hour=04/fan_profiles-20261121T040506Z-{TOKEN}"
    forms = [
        key_of("", "fan_profiles", INSTANT, TOKEN, form) for form in ("redshift", "symlink", "sha256sum")
    ]
    assert forms == [
        f"manifests/fan_profiles/redshift/{stamp}.json",
        f"manifests/fan_profiles/symlink/{stamp}.txt",
        f"manifests/fan_profiles/sha256sum/{stamp}.sha256",
    ]


@given(
    prefix=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\n"), min_size=1)).map(
        "/".join
    ),
    stream=st.sampled_from([*DATASETS, ACME.name]),
    instant=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    token=st.text("0123456789abcdef", min_size=32, max_size=32),
    form=st.sampled_from([None, *manifests.FORMATS]),
)
def test_a_key_parses_back_into_its_parts(
    prefix: str, stream: str, instant: datetime, token: str, form: str | None
) -> None:
    parts = ManifestKey(prefix, stream, instant.replace(microsecond=0), token)
    assert parse_key(key_of(prefix, stream, instant, token, form)) == (None if form else parts)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/" + KEY.removeprefix("acme/"),
        f"{KEY}\n",
        f"x\n/{KEY}",
        KEY.replace("manifests", "exports"),
        KEY.replace("fan_profiles", "fan_unknown"),
        KEY.replace("manifests/fan_profiles", "manifests/fan_track_events"),
        KEY.replace("hour=04", "hour=05"),
        KEY.replace("date=2026-11-21", "date=2026-11-22"),
        KEY.replace(".json", ".txt"),
        KEY.replace(TOKEN, TOKEN.upper()),
        KEY.replace("hour=04", "hour=٠٤"),
        KEY.replace("date=2026-11-21", "date=2026-13-21").replace("20261121", "20261321"),
        EVENTS_KEY.replace("/events-", "/fan_profiles-"),
        EVENTS_KEY.replace(".S3.", ".FTP."),
        EVENTS_KEY.replace("acme/date", "ac+me/date"),
    ],
)
def test_a_key_that_no_manifest_has_is_foreign(key: str) -> None:
    assert parse_key(key) is None


def test_a_token_is_the_digest_of_its_batch() -> None:
    token = token_of("rover", "acme", 1, "fan_profiles", "fan_profiles.1.3")
    assert token == "7fe59faac8566620dc3f615030230869"
    assert token != token_of("rover", "acme", 2, "fan_profiles", "fan_profiles.1.3")


# -- hostile manifests -------------------------------------------------------------------------------------------


def changed(path: str, value: Any, completion: Completion = ROVER) -> bytes:
    """A manifest's octets with another value at a path of fields and numbers."""
    tree = json.loads(text(completion))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = tree
    for part in parents:
        place = place[part]
    place[last] = value
    return json.dumps(tree).encode()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("manifest", 2, "version 2 is not known"),
        ("manifest", True, "manifest: takes a whole number"),
        ("contract", "dover", "contract: takes one of rover, currents, not 'dover'"),
        ("dataset", "fan_unknown", "dataset: takes one of"),
        ("phase", "lost", "phase: takes one of"),
        ("epoch", 0, "epoch: takes a whole number from 1"),
        ("export", "", "export: takes text"),
        ("batch", "a\x00b", r"batch: takes text without control characters, not 'a\\x00b'"),
        ("batch", "\ud800", "batch: takes text"),
        ("emittedAt", "2026-11-21T04:05:06Z", "emittedAt: takes an instant"),
        ("emittedAt", "2026-13-21T04:05:06.789Z", "emittedAt: takes an instant"),
        ("emittedAt", "2026-11-21T05:05:06.789Z", "no key of such a batch"),
        ("window", [], "window: takes an object, not a list"),
        ("window.toTime", None, "window.toTime: takes an instant"),
        ("window.fromVersion", -1, "window.fromVersion: takes a whole number"),
        ("columns", [], "columns: takes a list of names"),
        ("columns", ["id", "id"], "columns: names one twice"),
        ("key", "roverID", "key: takes a list"),
        ("files", {}, "files: takes a list"),
        ("files", [], "a batch without files"),
        ("files.1", 7, r"files\[1\]: takes an object, not '7'"),
        ("files.0.records", 0, r"files\[0\].records: takes a whole number from 1"),
        ("files.0.records", None, r"files\[0\].records"),
        ("files.0.records", 1.0, r"files\[0\].records"),
        ("files.0.records", 10**400, r"files\[0\].records"),
        ("files.0.bytes", "100", r"files\[0\].bytes"),
        ("files.0.sha256", HASH.upper(), "SHA-256"),
        ("files.0.key", "../../etc/passwd", "the key of an object"),
        ("files.0.key", "/etc/passwd", "the key of an object"),
        ("files.0.key", "x" * 2000, "the key of an object, not 'x{40}'…"),
        ("files.0.key", "acme/exports/other.ndjson.gz", "no key of such a batch"),
        ("files.0.key", rover_key("", "fan_track_events", INSTANT, TOKEN), "no key of such a batch"),
        ("files.0.key", a_file(2).key, "is named twice"),
        ("totals.files", 3, "totals.files: says 3, its files have 2"),
        ("totals.records", 18, "totals.records: says 18, its files have 17"),
        ("totals.textBytes", 0, "totals.textBytes"),
        ("previous", "x", "previous: takes an object"),
        ("previous.sha256", "x", "previous.sha256"),
    ],
)
def test_a_manifest_that_lies_is_refused_with_the_field_that_is_wrong(
    path: str, value: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        parse(changed(path, value))
    assert len(str(refused.value)) < 250
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("files.0.eventType", "users.behaviors.Other"),
        ("files.0.schemaId", 5),
        ("eventTypes", ["users.behaviors.Other"]),
        ("files.0.key", "acme/event_type=x"),
    ],
)
def test_a_file_of_another_event_type_or_schema_is_refused(path: str, value: Any) -> None:
    with pytest.raises(ValueError, match="no key of such a batch"):
        parse(changed(path, value, CURRENTS))


@pytest.mark.parametrize(
    ("whole", "old", "new"),
    [
        (ROVER, f"{1:032x}", "opaque-slug_1"),
        (CURRENTS, "/zone/", "/_any zone/"),
        (CURRENTS, "dataexport.prod-01.S3.", "dataexport.new.S4."),
    ],
)
def test_what_the_contracts_call_opaque_may_be_any_text(whole: Completion, old: str, new: str) -> None:
    data = text(whole).replace(old.encode(), new.encode())
    assert data != text(whole)
    assert [file.key for file in parse(data).files] == [file.key.replace(old, new) for file in whole.files]


@pytest.mark.parametrize("field", list(json.loads(text(ROVER))))
def test_no_field_may_be_missing(field: str) -> None:
    tree = json.loads(text(ROVER))
    del tree[field]
    with pytest.raises(ValueError, match=f"{field}: is missing"):
        parse(json.dumps(tree).encode())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[]", "not a JSON object"),
        (text(ROVER)[:-20], "not JSON"),
        (text(ROVER) * 2, "not JSON"),
        (b'{"manifest":1,"manifest":1}', "a field twice"),
        (b'{"manifest":NaN}', "not JSON"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b" " * (manifests.LARGEST + 1), "at most 67,108,864 are read"),
    ],
    ids=["empty", "bytes", "bom", "list", "cut", "two", "twice", "nan", "deep", "large"],
)
def test_what_is_no_manifest_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(data)
