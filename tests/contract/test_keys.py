"""Object keys: the exact form a receiver sees, and which keys are ours."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rover_spark.contract.keys import RoverKey, file_token, parse_rover_key, rover_key
from rover_spark.contract.rover import DATASETS

UTC = timezone.utc
TOKEN = "0123456789abcdef0123456789abcdef"
INSTANT = datetime(2026, 11, 21, 4, 5, 6, 789_000, UTC)
KEY = f"exports/fan_profiles/date=2026-11-21/hour=04/fan_profiles-20261121T040506Z-part-{TOKEN}.ndjson.gz"


@pytest.mark.parametrize(
    ("prefix", "key"),
    [("", KEY), ("acme", f"acme/{KEY}"), ("a/b c/exports", f"a/b c/exports/{KEY}")],
)
def test_a_key_has_the_published_form(prefix: str, key: str) -> None:
    assert rover_key(prefix, "fan_profiles", INSTANT, TOKEN) == key
    parts = RoverKey(prefix, "fan_profiles", INSTANT.replace(microsecond=0), TOKEN)
    assert parse_rover_key(key) == parts


def test_every_segment_names_the_same_instant_in_utc() -> None:
    there = datetime(2027, 1, 1, 1, 30, 0, tzinfo=timezone(timedelta(hours=2, minutes=30)))
    assert rover_key("", "fan_track_events", there, TOKEN) == (
        "exports/fan_track_events/date=2026-12-31/hour=23/"
        f"fan_track_events-20261231T230000Z-part-{TOKEN}.ndjson.gz"
    )


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        rover_key("", "fan_profiles", datetime(2026, 11, 21), TOKEN)


@given(
    prefix=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\n"), min_size=1)).map(
        "/".join
    ),
    dataset=st.sampled_from(sorted(DATASETS)),
    instant=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    token=st.text("0123456789abcdef", min_size=32, max_size=32),
)
def test_a_key_parses_back_into_its_parts(prefix: str, dataset: str, instant: datetime, token: str) -> None:
    key = rover_key(prefix, dataset, instant, token)
    assert parse_rover_key(key) == RoverKey(prefix, dataset, instant.replace(microsecond=0), token)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "exports/",
        f"/{KEY}",
        f"{KEY}\n",
        f"{KEY}.tmp",
        f"{KEY}/",
        f" {KEY}",
        f"x\n/{KEY}",
        KEY.replace("exports", "export"),
        KEY.replace("fan_profiles", "fan_unknown"),
        KEY.replace("exports/fan_profiles", "exports/fan_track_events"),
        KEY.replace("/fan_profiles-", "/fan_track_events-"),
        KEY.replace("date=2026-11-21", "date=2026-11-22"),
        KEY.replace("hour=04", "hour=05"),
        KEY.replace("T040506Z", "T050506Z"),
        KEY.replace("date=2026-11-21", "date=2026-13-21").replace("20261121", "20261321"),
        KEY.replace("hour=04", "hour=24").replace("T04", "T24"),
        KEY.replace("hour=04", "hour=4"),
        KEY.replace("Z-part", "-part"),
        KEY.replace(TOKEN, TOKEN[:-1]),
        KEY.replace(TOKEN, TOKEN + "0"),
        KEY.replace(TOKEN, TOKEN.upper()),
        KEY.replace(TOKEN, "g" + TOKEN[1:]),
        KEY.replace("hour=04", "hour=٠٤"),
        KEY.replace(".ndjson.gz", ".ndjson"),
        KEY.replace(".ndjson.gz", "xndjson.gz"),
    ],
)
def test_a_key_that_this_contract_could_not_have_written_is_foreign(key: str) -> None:
    assert parse_rover_key(key) is None


def test_a_token_is_the_digest_of_what_the_file_is() -> None:
    # golden: another token would give every redelivery another key
    token = file_token("acme", 1, "fan_profiles", "fan_profiles.1.1", 0, 0)
    assert token == "afe4075082cf4f4139f569b67f290492"


@pytest.mark.parametrize(
    "other",
    [
        ("acm", 1, "fan_profiles", "fan_profiles.1.1", 0, 0),
        ("acme", 2, "fan_profiles", "fan_profiles.1.1", 0, 0),
        ("acme", 1, "fan_track_events", "fan_profiles.1.1", 0, 0),
        ("acme", 1, "fan_profiles", "fan_profiles.1.2", 0, 0),
        ("acme", 1, "fan_profiles", "fan_profiles.1.1", 1, 0),
        ("acme", 1, "fan_profiles", "fan_profiles.1.1", 0, 1),
    ],
    ids=["export", "epoch", "dataset", "batch", "chunk", "part"],
)
def test_a_token_depends_on_each_part(other: tuple[str, int, str, str, int, int]) -> None:
    assert file_token(*other) != file_token("acme", 1, "fan_profiles", "fan_profiles.1.1", 0, 0)
