"""What a failure of ``deltalake`` at the ledger means to an operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rover_spark.delta.causes import then
from rover_spark.delta.native_errors import NativeFailed
from rover_spark.errors import RunError


@contextmanager
def failed(doing: str, location: str, otherwise: str = "") -> Iterator[None]:
    """Turns a NativeFailed into an error that says what was done to the ledger; ``otherwise`` is one more remedy.

    Raises:
        RunError: it could not be done, or nobody knows whether it was; the next run looks.
    """
    try:
        yield
    except NativeFailed as failure:
        raise RunError(
            f"ledger: {location}: could not {doing}: {failure}",
            code="ledger_failed",
            remedy=" ".join(
                filter(None, (then(failure.cause), otherwise, "What the ledger holds is still true."))
            ),
        ) from None
