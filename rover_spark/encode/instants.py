"""Days and instants of Arrow columns as text: ISO 8601 of the years 1 to 9999, by integer arithmetic over whole columns.

Source of the calendar's arithmetic: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rover_spark.encode.pieces import Mask, of_matrix

NO_TEXT = "a time outside of the years 1 to 9999: its text is Spark's affair"
FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, in days since 1970
YEAR_1, YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000  # in microseconds
_DAY = 86_400_000_000
_SECOND, _THOUSAND = 1_000_000, 1000
_TWO = np.array([f"{number:02d}" for number in range(100)], "S2").view(np.uint16)
_THREE = np.array([f"{number:03d}" for number in range(_THOUSAND)], "S3").view("V3")
_TIMES = np.array([f"{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}" for n in range(86_400)], "S8").view(
    "V8"
)
_LAYOUT = np.dtype(
    [("day", "V10"), ("T", "u1"), ("time", "V8"), ("point", "u1"), ("ms", "V3"), ("us", "V3"), ("Z", "u1")]
)
_DAY_LAYOUT = np.dtype(
    [("century", "<u2"), ("year", "<u2"), ("-", "u1"), ("month", "<u2"), ("--", "u1"), ("day", "<u2")]
)


def days_text(days: Any) -> pa.Array:
    """``2026-01-31`` of days since 1970; a day outside of the years 1 to 9999 has no text that is right."""
    return of_matrix(_octets(_days(days)))


def instants_text(micros: Any, *, zone: bool = True) -> pa.Array:
    """``2026-01-31T12:00:00.123456Z`` of microseconds since 1970, without ``Z`` where there is no zone.

    An instant outside of the years 1 to 9999 has no text that is right.
    """
    texts = np.empty(len(micros), _LAYOUT)
    days = micros // _DAY
    rest = micros - days * _DAY
    seconds = rest // _SECOND
    fraction = (rest - seconds * _SECOND).astype(np.int32)
    texts["day"], texts["time"] = _days(days), _TIMES[seconds]
    texts["T"], texts["point"], texts["Z"] = ord("T"), ord("."), ord("Z")
    texts["ms"], texts["us"] = _THREE[fraction // _THOUSAND], _THREE[fraction % _THOUSAND]
    octets = _octets(texts)
    return of_matrix(octets if zone else octets[:, :-1])


def days_in_range(days: Any) -> Mask:
    """Which days are of the years 1 to 9999."""
    return (days >= FIRST_DAY) & (days <= LAST_DAY)


def instants_in_range(micros: Any) -> Mask:
    """Which instants are of the years 1 to 9999."""
    return (micros >= YEAR_1) & (micros < YEAR_10000)


def _days(days: Any) -> Any:
    """The days' texts, ten octets each. Days that lie close together are looked up in a table of all between."""
    if not len(days):
        return np.empty(0, "V10")
    days = np.clip(days, FIRST_DAY, LAST_DAY).astype(np.int32)
    first, last = int(days.min()), int(days.max())
    if last - first < len(days):
        return _calendar(np.arange(first, last + 1, dtype=np.int32))[days - first]
    return _calendar(days)


def _calendar(days: Any) -> Any:
    # years begin in March, so that the leap day is the last of a year; 400 years are an era
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = np.where(month < 10, month + 3, month - 9)
    year = year_of_era + era * 400 + (month <= 2)
    texts = np.empty(len(days), _DAY_LAYOUT)
    texts["century"], texts["year"], texts["month"], texts["day"] = (
        _TWO[number] for number in (year // 100, year % 100, month, day)
    )
    texts["-"] = texts["--"] = ord("-")
    return texts.view("V10")


def _octets(texts: Any) -> Any:
    return texts.view(np.uint8).reshape(len(texts), texts.dtype.itemsize)
