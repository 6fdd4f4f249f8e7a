"""Every error a user can meet, as one tree.

    RoverSparkError                 a message, a stable code, and what to do
    ├── ConfigError                 wrong usage or configuration: exit 2, nothing was written
    │   └── SourceChanged           the settings of one dataset wait for a confirmation: the others go on
    └── RunError                    the run failed: exit 1, the ledger says what is true
        ├── SourceGap               a range of source versions cannot be read whole
        ├── SourceUnread            reading failed, and nobody knows whether that passes
        ├── LedgerConflict          another driver recorded the transition first
        ├── DatasetBusy             another driver is delivering the dataset
        ├── NotRepeatable           the same plan gave other rows or bytes than before
        ├── ReaderRefused           the data files of a batch cannot be read as its plan says: it is planned without that
        └── StoreError              the destination refused or is out of reach
            ├── PublishUnknown      a file may be visible, now or later: nothing is removed, publish again
            ├── StagedLost          staged bytes are gone and the key is not visible: stage again
            └── KeyTaken            the key holds another payload: nothing was replaced

Classes differ by what the caller does next; ``code`` is what a reader of ``--json`` distinguishes them by.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR}


@dataclass(frozen=True)
class Problem:
    """An error as a value: what a person reads and what ``--json`` prints."""

    code: str
    message: str
    remedy: str = ""


def of_a_file(error: OSError, what: str, then: str) -> Problem:
    """What the system says of a file, and what to do about it."""
    todo = "Look at that path."
    if error.errno in _FULL:
        todo = "Free space on that disk, or name another place."
    elif error.errno in _REFUSED:
        todo = "Let this user write there, or name another place."
    return Problem("file_refused", f"{what}: {error.strerror}", f"{todo} {then}".strip())


class RoverSparkError(Exception):
    """What happened and what is true now (``message``), a stable ``code``, and what to do (``remedy``)."""

    exit_code = 1

    def __init__(self, message: str, *, code: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.remedy = remedy

    @property
    def problem(self) -> Problem:
        """This error as a value."""
        return Problem(self.code, self.message, self.remedy)

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments do not survive pickling by themselves, and tasks raise these on executors
        return _rebuild, (type(self), self.message, self.code, self.remedy)


def _rebuild(kind: type[RoverSparkError], message: str, code: str, remedy: str) -> RoverSparkError:
    return kind(message, code=code, remedy=remedy)


class ConfigError(RoverSparkError):
    """Wrong usage or configuration. Nothing was read from a row, nothing was written."""

    exit_code = 2


class SourceChanged(ConfigError):
    """The settings ask for other rows than were delivered before. The caller leaves the dataset alone until that is confirmed."""


class RunError(RoverSparkError):
    """The run failed. The ledger holds whatever was decided; the next run goes on from there."""


class SourceGap(RunError):
    """Source versions that cannot be read without losing changes. The ledger stays at the last good version."""


class SourceUnread(RunError):
    """Reading source versions failed for a reason that is not known to pass. Where it stays, a rerun gives them up."""


class LedgerConflict(RunError):
    """Another driver recorded this transition. The caller reads the ledger again and follows."""


class DatasetBusy(RunError):
    """Another driver is delivering the dataset. The caller leaves it alone."""


class NotRepeatable(RunError):
    """One plan gave two different results. Publishing stops before anything is replaced."""


class ReaderRefused(RunError):
    """The data files of a batch cannot be read as its plan says. A batch that is not STAGED is aborted and planned anew without that."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "reader_refused",
        remedy: str = 'Set files.reader = "spark": Spark reads the file and makes the same bytes.',
    ) -> None:
        super().__init__(message, code=code, remedy=remedy)


class StoreError(RunError):
    """The destination refused, or its answer is unknown."""


class PublishUnknown(StoreError):
    """A file may be visible, now or later. The caller removes nothing; the next run publishes the file again."""


class StagedLost(StoreError):
    """Staged bytes are gone and their key is not visible. The caller stages the batch again from its plan."""


class KeyTaken(StoreError):
    """A key already holds another payload. Nothing was replaced."""
