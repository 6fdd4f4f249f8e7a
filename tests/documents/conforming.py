"""What `conform` finds, for the documents: every breach of the contract, and what each loader does not take."""

from __future__ import annotations

from rover_spark.consume.conform.loaders import LINTS, LOADERS, Loader
from rover_spark.consume.conform.report import CODES, NOTICES
from tests.documents.blocks import table

_MINDS = {
    "key_twice": "a key twice",
    "case_clash": "keys that differ by case alone",
    "nul": "U+0000",
    "surrogate": "half of a surrogate pair",
    "partition_column": "a field named `date` or `hour` (Currents: `date`, `event_type`)",
}


def breaches() -> str:
    """One row a code, those of loaders last."""
    lints = {code: sentence.format("the loader") for code, sentence in LINTS.items()}
    notices = {code: f"{sentence} (no breach: only noted)" for code, sentence in NOTICES.items()}
    return table(
        ("code", "what is counted"),
        [(f"`{code}`", text) for code, text in {**CODES, **notices, **lints}.items()],
    )


def loaders() -> str:
    """One row a loader."""
    return table(
        ("`--for`", "does not take"), [(f"`{name}`", _minds(each)) for name, each in LOADERS.items()]
    )


def _minds(loader: Loader) -> str:
    parts = [words for name, words in _MINDS.items() if getattr(loader, name)]
    if loader.integers is not None:
        parts.append("integers beyond " + " and ".join(_power(each) for each in loader.integers))
    if loader.line_bytes is not None:
        parts.append(f"lines over {loader.line_bytes:,} bytes")
    if loader.object_bytes is not None:
        parts.append(f"objects over {loader.object_bytes:,} bytes")
    return "; ".join(parts)


def _power(number: int) -> str:
    """An integer next to a power of two."""
    size = abs(number)
    power = size.bit_length() - 1 if size & (size - 1) == 0 else size.bit_length()
    sign = "−" if number < 0 else ""
    return f"{sign}2^{power}" + ("" if size == 1 << power else " + 1" if number < 0 else " − 1")
