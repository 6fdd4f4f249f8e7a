"""Days and instants of Arrow columns as text: ISO 8601 of the years 1 to 9999, by integer arithmetic over whole columns.

Source of the calendar's arithmetic: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rover_spark.encode.pieces import Mask, of_matrix

FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, in days since 1970
YEAR_1, YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000  # in microseconds
_DAY = 86_400_000_000
_DIGITS = np.array([f"{number:02d}" for number in range(100)], "S2").view(np.uint16)
_PATTERN = np.frombuffer(b"0000-00-00T00:00:00.000000Z", np.uint8)
_DAY_WIDTH = 10


def days_text(days: Any) -> pa.Array:
    """``2026-01-31`` of days since 1970; a day outside of the years 1 to 9999 has no text that is right."""
    octets = np.tile(_PATTERN[:_DAY_WIDTH], (len(days), 1))
    _write_days(octets, days.astype(np.int64, copy=False))
    return of_matrix(octets)


def instants_text(micros: Any, *, zone: bool = True) -> pa.Array:
    """``2026-01-31T12:00:00.123456Z`` of microseconds since 1970, without ``Z`` where there is no zone.

    An instant outside of the years 1 to 9999 has no text that is right.
    """
    octets = np.tile(_PATTERN if zone else _PATTERN[:-1], (len(micros), 1))
    days = micros // _DAY
    rest = micros - days * _DAY
    _write_days(octets, days)
    seconds = (rest // 1_000_000).astype(np.int32)
    fraction = (rest - seconds * np.int64(1_000_000)).astype(np.int32)
    for place, number in (
        (11, seconds // 3600),
        (14, seconds // 60 % 60),
        (17, seconds % 60),
        (20, fraction // 10_000),
        (22, fraction // 100 % 100),
        (24, fraction % 100),
    ):
        _write(octets, place, number)
    return of_matrix(octets)


def days_in_range(days: Any) -> Mask:
    """Which days are of the years 1 to 9999."""
    return (days >= FIRST_DAY) & (days <= LAST_DAY)


def instants_in_range(micros: Any) -> Mask:
    """Which instants are of the years 1 to 9999."""
    return (micros >= YEAR_1) & (micros < YEAR_10000)


def _write_days(octets: Any, days: Any) -> None:
    # years begin in March, so that the leap day is the last of a year; 400 years are an era
    shifted = (np.clip(days, FIRST_DAY, LAST_DAY) + 719_468).astype(np.int32)
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = np.where(month < 10, month + 3, month - 9)
    year = year_of_era + era * 400 + (month <= 2)
    for place, number in ((0, year // 100), (2, year % 100), (5, month), (8, day)):
        _write(octets, place, number)


def _write(octets: Any, place: int, numbers: Any) -> None:
    octets[:, place : place + 2] = _DIGITS[numbers].view(np.uint8).reshape(-1, 2)
