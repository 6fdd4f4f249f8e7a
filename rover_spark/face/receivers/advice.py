"""What a receiver is advised to do: stores speak to those who deliver, whose command is export."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rover_spark.errors import StoreError

_EXPORT = re.compile(r"\b([Rr])un export again[^.]*\.")


@contextmanager
def advising(command: str) -> Iterator[None]:
    """Store errors that are raised inside say to run ``command`` again, where they said export."""
    try:
        yield
    except StoreError as error:
        remedy = _EXPORT.sub(rf"\1un {command} again.", error.remedy)
        raise StoreError(error.message, code=error.code, remedy=remedy) from None
