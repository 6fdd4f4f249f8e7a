"""Record ids: the canonical encoding and its digest. A change would re-key every record already delivered."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rover_spark.contract import ids
from rover_spark.contract.ids import Value, canonical, digest32, text_of

UTC = timezone.utc
TEXTS = st.one_of(st.none(), st.text(), st.integers().map(str), st.sampled_from(["~", "1:a", "0:", ":", "é"]))


def decoded(encoding: str) -> list[str | None]:
    """The texts that an encoding stands for: it can be read back in one way only."""
    octets, found = encoding.encode(), list[str | None]()
    while octets:
        if octets[:1] == b"~":
            found.append(None)
            octets = octets[1:]
            continue
        length, _, rest = octets.partition(b":")
        found.append(rest[: int(length)].decode())
        octets = rest[int(length) :]
    return found


@pytest.mark.parametrize(
    ("values", "encoding", "digest"),
    [
        ([], "", "e3b0c44298fc1c149afbf4c8996fb924"),
        ([None], "~", "7ace431cb61584cb9b8dc7ec08cf38ac"),
        ([""], "0:", "ba768b331fd86cec803be04e56ab2b3d"),
        (["~"], "1:~", "8fff5ab36d74d83acf409a0a48dbb6ed"),
        (["rover", None, 7, True], "5:rover~1:74:true", "7bc74abf208d09dbbe456b55a2e65764"),
        (["é", ""], "2:é0:", "f48aa107ce279182a70c763fad46fd34"),
        (["😀", "a\nb"], "4:😀3:a\nb", "9b241869f2f0707908ae0e7a4e099aae"),
        ([date(2026, 11, 21)], "10:2026-11-21", "a1580e25e7d9a5d1695dac2f368a5ad1"),
        (
            ["rover", "acme", 1, "fan_track_events", "evt-1"],
            "5:rover4:acme1:116:fan_track_events5:evt-1",
            "17d879049411d197a7405d1bd00e3214",
        ),
    ],
)
def test_the_golden_vectors_never_change(values: list[Value], encoding: str, digest: str) -> None:
    assert canonical(values) == encoding
    assert digest32(values) == digest


def test_the_golden_vectors_in_the_docstring_hold() -> None:
    result = doctest.testmod(ids)
    assert (result.failed, result.attempted) == (0, 3)


@given(st.lists(TEXTS, max_size=6))
def test_an_encoding_can_be_read_back(values: list[str | None]) -> None:
    assert decoded(canonical(values)) == values


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4))
def test_different_values_have_different_encodings(one: list[str | None], other: list[str | None]) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["a", None], ["a", "~"]),
        ([None], []),
        ([""], []),
        (["1:a"], ["1", "a"]),
        ([True], [1]),
        ([False], [0]),
    ],
)
def test_what_looks_alike_when_joined_is_told_apart(one: list[Value], other: list[Value]) -> None:
    assert digest32(one) != digest32(other)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("Ünï ", "Ünï "),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (-(2**63), "-9223372036854775808"),
        (Decimal("1.50"), "1.50"),
        (Decimal("-0.000001"), "-0.000001"),
        (Decimal("1E+3"), "1E+3"),
        (Decimal("1E-7"), "1E-7"),
        (Decimal("1.000E-7"), "1.000E-7"),
        (date(1969, 2, 3), "1969-02-03"),
        (datetime(1970, 1, 1, tzinfo=UTC), "0"),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), "-1"),
        (datetime(2026, 11, 21, 10, 15, 0, 123_456, UTC), "1795256100123456"),
        (datetime(2026, 11, 21, 12, 15, 0, 123_456, timezone(timedelta(hours=2))), "1795256100123456"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), "253402300799999999"),
        (datetime(1, 1, 1, tzinfo=UTC), "-62135596800000000"),
    ],
    ids=str,
)
def test_each_type_has_one_text(value: Value, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    "value",
    [1.5, 1.0, float("nan"), datetime(2026, 11, 21), b"bytes", ["list"], {"a": 1}, 1j, timedelta(1)],
    ids=str,
)
def test_what_has_no_exact_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        text_of(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        digest32(["rover", value])  # type: ignore[list-item]


@given(st.lists(TEXTS, max_size=4))
def test_a_digest_is_32_lower_case_hex_digits(values: Sequence[Value]) -> None:
    digest = digest32(values)
    assert len(digest) == 32
    assert set(digest) <= set("0123456789abcdef")
