"""The Currents contract: the exact form of its keys, which keys are ours, and what files and events are known by."""

from __future__ import annotations

import doctest
import hashlib
import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rover_spark.contract import currents
from rover_spark.contract.currents import (
    CurrentsKey,
    Integration,
    check_clash,
    check_event_type,
    check_segment,
    currents_key,
    natural_id,
    natural_prefix,
    parse_currents_key,
    sync_marker,
)
from rover_spark.contract.ids import Value, canonical

UTC = timezone.utc
HOUR = datetime(2026, 11, 21, 4, tzinfo=UTC)
PLACE = Integration("prod-01", "AzureBlob", "65f1c2d3", "eu-01")
TYPE = "users.behaviors.CustomEvent"
NAME = "dataexport.prod-01.AzureBlob.integration.65f1c2d3"
KEY = f"{NAME}/event_type={TYPE}/date=2026-11-21-04/7/eu-01/{NAME}+2+15000.avro"
LAST = 2**63 - 1


def test_the_thresholds_are_those_of_the_contract() -> None:
    assert currents.EVENTS_PER_FILE == 15_000
    assert currents.EVENTS_PER_FILE_BACKLOG == 100_000
    assert currents.BACKLOG_EVENTS == 150_000
    assert currents.MAX_EVENT_BYTES == 900_000
    assert currents.CONNECTIONS == ("S3", "AzureBlob", "GCS")


# -- keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "acme", "a/b c/dataexport"])
def test_a_key_has_the_published_form(prefix: str) -> None:
    key = f"{prefix}/{KEY}" if prefix else KEY
    assert currents_key(prefix, PLACE, TYPE, HOUR, 7, 2, 15_000) == key
    assert parse_currents_key(prefix, key) == CurrentsKey(PLACE, TYPE, HOUR, 7, 2, 15_000)


def test_the_examples_in_the_docstring_hold() -> None:
    result = doctest.testmod(currents)
    assert (result.failed, result.attempted) == (0, 7)


def test_the_hour_is_that_of_utc() -> None:
    there = datetime(2027, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2, minutes=30)))
    assert "/date=2026-12-31-23/" in currents_key("", PLACE, TYPE, there, 1, 0, 0)


@pytest.mark.parametrize(
    "hour",
    [
        datetime(2026, 11, 21, 4),
        HOUR.replace(minute=1),
        HOUR.replace(second=1),
        HOUR.replace(microsecond=1),
        datetime(2026, 11, 21, 4, tzinfo=timezone(timedelta(minutes=30))),
    ],
    ids=str,
)
def test_an_hour_that_is_none_is_refused(hour: datetime) -> None:
    with pytest.raises(ValueError, match="the hour of a key"):
        currents_key("", PLACE, TYPE, hour, 1, 0, 0)


@pytest.mark.parametrize("numbers", [(-1, 0, 0), (1, -1, 0), (1, 0, -1), (LAST + 1, 0, 0), (1, 0, LAST + 1)])
def test_a_number_that_no_key_holds_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="a key has no"):
        currents_key("", PLACE, TYPE, HOUR, *numbers)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=12)
NUMBERS = st.one_of(st.integers(0, 20), st.integers(0, LAST))


def valid(text: str) -> bool:
    try:
        check_segment("it", text)
    except ValueError:
        return False
    return True


@given(
    prefix=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1), max_size=3),
    cluster=NAMES.filter(lambda text: valid(text) and "." not in text),
    connection=st.sampled_from(currents.CONNECTIONS),
    names=st.tuples(*[NAMES.filter(valid)] * 3),
    days=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    numbers=st.tuples(NUMBERS, NUMBERS, NUMBERS),
)
def test_a_key_parses_back_into_its_parts(
    prefix: list[str],
    cluster: str,
    connection: str,
    names: tuple[str, str, str],
    days: datetime,
    numbers: tuple[int, int, int],
) -> None:
    integration_id, zone, event_type = names
    assume(not zone.startswith(("_", ".")))
    place = Integration(cluster, connection, integration_id, zone)
    hour = days.replace(minute=0, second=0, microsecond=0)
    key = currents_key("/".join(prefix), place, event_type, hour, *numbers)
    assert parse_currents_key("/".join(prefix), key) == CurrentsKey(place, event_type, hour, *numbers)


def test_names_with_dots_and_dashes_parse_back() -> None:
    place = Integration("p", "S3", "a.S3.integration.b", "x.S3.integration.y")
    key = currents_key("", place, "event.S3.integration.x", HOUR, 0, LAST, LAST)
    assert parse_currents_key("", key) == CurrentsKey(place, "event.S3.integration.x", HOUR, 0, LAST, LAST)


@pytest.mark.parametrize(
    "key",
    [
        "",
        f"/{KEY}",
        f"{KEY}\n",
        f"{KEY}/",
        f"x/{KEY}",
        KEY.replace("dataexport", "Dataexport"),
        KEY.replace("prod-01", "prod-02", 1),
        KEY.replace("prod-01", "prod.01"),
        KEY.replace("AzureBlob", "Azure"),
        KEY.replace("65f1c2d3/", "65f1c2d4/"),
        KEY.replace("event_type=", "event="),
        KEY.replace(TYPE, ""),
        KEY.replace(TYPE, "a=b"),
        KEY.replace(TYPE, "a..b"),
        KEY.replace(TYPE, "a\x7fb"),
        KEY.replace("date=2026-11-21-04", "date=2026-11-21-24"),
        KEY.replace("date=2026-11-21-04", "date=0000-11-21-04"),
        KEY.replace("date=2026-11-21-04", "date=2026-11-21-4"),
        KEY.replace("date=2026-11-21-04", "date=2026-11-21"),
        KEY.replace("2026-11-21-04", "٢٠٢٦-11-21-04"),
        KEY.replace("/7/", "/07/"),
        KEY.replace("/7/", "/٧/"),
        KEY.replace("/7/", "/x/"),
        KEY.replace("/7/", f"/{LAST + 1}/"),
        KEY.replace("/7/", f"/{'9' * 5000}/"),
        KEY.replace("eu-01", "_eu"),
        KEY.replace("eu-01", "a/b"),
        KEY.replace("+2+", "+02+"),
        KEY.replace("+2+", "+1+2+"),
        KEY.replace("15000", "015000"),
        KEY.replace("15000", "1_5"),
        KEY.replace(".avro", "xavro"),
        KEY.replace(".avro", ".avro.gz"),
    ],
    ids=lambda key: key[:20] + key[-40:],
)
def test_a_key_that_this_contract_could_not_have_written_is_foreign(key: str) -> None:
    assert parse_currents_key("", key) is None


def test_a_key_below_another_prefix_is_foreign() -> None:
    assert parse_currents_key("acme", KEY) is None
    assert parse_currents_key("", f"acme/{KEY}") is None
    assert parse_currents_key("acme", f"acmes/{KEY}") is None
    assert parse_currents_key("acme", f"acme//{KEY}") is None
    assert parse_currents_key("acme", f"acme/acme/{KEY}") is None


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [TYPE, "a", "users.messages.email.Send", "with blank", "Ünï", "a-b_c", "x" * 200, "_x"]
)
def test_a_name_that_can_stand_in_a_key_is_taken(text: str) -> None:
    check_event_type(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "event type must not be empty"),
        ("x" * 201, "longer than 200"),
        ("é" * 101, "longer than 200"),
        ("a/b", "cannot hold '/'"),
        ("a\\b", "cannot hold"),
        ("a..b", "cannot hold '..'"),
        ("..", "cannot hold"),
        (".", "end with a dot"),
        ("a.", "end with a dot"),
        (" a", "blank"),
        ("a\u00a0", "blank"),
        ("a+b", "cannot hold '+'"),
        ("a=b", "cannot hold '='"),
        ("a%2Fb", "cannot hold '%'"),
        ("a?b", "cannot hold"),
        ("a#b", "cannot hold"),
        ("a\nb", "control characters"),
        ("a\x00", "control characters"),
        ("a\u0085b", "control characters"),
        ("a\u2028b", "control characters"),
        ("a\ud800b", "control characters"),
    ],
)
def test_a_name_that_would_be_taken_for_something_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_event_type(text)
    with pytest.raises(ValueError):
        currents_key("", PLACE, text, HOUR, 1, 0, 0)
    for name, parts in (("integration_id", ("c", "S3", text, "z")), ("zone", ("c", "S3", "i", text))):
        with pytest.raises(ValueError, match=name):
            Integration(*parts)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("c", "s3", "i", "z"), "connection must be S3, AzureBlob, GCS, not 's3'"),
        (("c.d", "S3", "i", "z"), "cluster cannot hold a dot"),
        (("c", "S3", "i", "_z"), "readers would pass over it"),
        (("c", "S3", "i", ".z"), "readers would pass over it"),
        (("c" * 100, "S3", "i" * 100, "z"), "too long"),
    ],
)
def test_an_integration_that_no_key_can_hold_is_refused(
    parts: tuple[str, str, str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Integration(*parts)


def test_no_segment_is_longer_than_file_systems_take() -> None:
    place = Integration("c" * 60, "AzureBlob", "i" * 106, "z" * 200)
    key = currents_key("", place, "e" * 200, HOUR, LAST, LAST, LAST)
    assert max(len(segment.encode()) for segment in key.split("/")) <= 255


def test_event_types_that_differ_by_case_clash() -> None:
    check_clash(["a.B", "a.C", "a.B"])
    with pytest.raises(ValueError, match=r"'a\.Open' and 'a\.open' differ by case"):
        check_clash(["x", "a.Open", "y", "a.open"])
    with pytest.raises(ValueError, match="differ by case"):
        check_clash(["straße", "STRASSE"])


# -- markers and ids -----------------------------------------------------------------------------------------


def test_a_sync_marker_is_a_digest_of_the_lengths_and_octets_of_both() -> None:
    text, key = '{"name":"é"}', "a/ü.avro"
    octets = b"".join(b"%d:%b" % (len(part.encode()), part.encode()) for part in (text, key))
    assert sync_marker(text, key) == hashlib.sha256(octets).digest()[:16]
    assert sync_marker('"null"', KEY).hex() == "a471680e85b0d93f6a42bdde245b8409"
    assert sync_marker("ab", "c") != sync_marker("a", "bc")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "faec7373-7bf4-4ed4-780c-4309970c9f04"),
        (["evt-1"], "da0d0a89-e621-cf8c-8122-637f588cbda6"),
        ([None, True, 7, Decimal("1.50"), date(2026, 11, 21), HOUR], "4d305960-1dfb-f918-0a7e-46fad54f671b"),
    ],
)
def test_ids_made_of_values_never_change(values: list[Value], expected: str) -> None:
    """Golden: another id would deliver every event again."""
    assert natural_id("65f1c2d3", TYPE, values) == expected
    whole = natural_prefix("65f1c2d3", TYPE) + canonical(values)
    assert (
        natural_id("65f1c2d3", TYPE, values).replace("-", "")
        == hashlib.sha256(whole.encode()).hexdigest()[:32]
    )


def test_an_id_depends_on_each_part_and_has_the_form_of_a_uuid() -> None:
    ids = [
        natural_id("i", "t", ["v"]),
        natural_id("j", "t", ["v"]),
        natural_id("i", "u", ["v"]),
        natural_id("i", "t", ["w"]),
        natural_id("i", "t", ["v", None]),
        natural_id("it", "", ["v"]),
    ]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in ids)
    with pytest.raises(TypeError):
        natural_id("i", "t", [1.5])  # type: ignore[list-item]
