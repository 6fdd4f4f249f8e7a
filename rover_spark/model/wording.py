"""Numbers as people read them, in messages of every layer. Pure."""

from __future__ import annotations

_SPANS = (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1))


def counted(count: int, one: str, many: str = "") -> str:
    """A number and what is counted: ``1 file``, ``2,000 files``."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def duration(seconds: float) -> str:
    """A span of time in its two largest units: ``45 s``, ``1 h 30 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    for unit, length, below, inner in _SPANS:
        if whole >= length:
            rest = whole % length // inner
            return f"{whole // length:,} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def size(octets: float) -> str:
    """Octets in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    raise AssertionError("unreachable")
