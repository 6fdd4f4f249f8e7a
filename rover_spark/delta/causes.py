"""The table of engine errors: by its text, an error passes, stays, or is unknown. And which part of the text users see. Pure.

After a failure that passes, the same command succeeds later. One that stays is a gap where rows of a range are read: a
rerun gives that range up. An unknown one may be either, so its remedy names both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["passes", "stays", "refused", "full", "no_file_system", "unknown"]
LONGEST = 300
_CLASSES = re.compile(r"^(Caused by: )?((\w+\.)+[\w$]*(Exception|Error)\b(: |$))*")


@dataclass(frozen=True)
class Cause:
    """The meaning of an error: the word of its text that decides it, and the reason, for messages."""

    kind: Kind
    word: str = ""
    why: str = ""


_MEMORY = "memory ran out: give Spark more where it does so again"
_FILES_GONE = "its files were removed by VACUUM, or its log was cleaned"
_FEED_OFF = "the change data feed was off for a part of it"
_RETYPED = "a column was renamed, dropped or retyped in this range"
_TOO_OLD = "it is older than delta.deletedFileRetentionDuration, and Delta reads no older version"
_LOG_GONE = "a part of its log is gone"
_DAMAGED = "a file of it is damaged, or is not what the log says"
_BARE = "a version of it removed a file without extended file metadata in the log, so the change data feed cannot be read"

# The first row that matches counts. Words as engines write them; a pattern where a word alone could be part of a name.
_TABLE: tuple[tuple[Kind, str, str], ...] = (
    ("no_file_system", "ClassNotFoundException: Class org.apache.hadoop.fs.", ""),
    ("no_file_system", "No FileSystem for scheme", ""),
    # it passes, whatever else the text says: a file that could not be read for a lost connection is not a damaged one
    ("passes", "ExecutorLostFailure", "an executor was lost"),
    ("passes", "Executor heartbeat timed out", "an executor was lost"),
    ("passes", "FetchFailed", "an executor was lost"),
    ("passes", "ExecutorDeadException", "an executor was lost"),
    ("passes", r"re:Container killed by YARN|exceeding memory limits", _MEMORY),
    ("passes", "MetadataFetchFailedException", "an executor was lost"),
    ("passes", "Python worker exited unexpectedly", "a worker was lost"),
    ("passes", "Python worker failed to connect back", "a worker was lost"),
    ("passes", "OutOfMemoryError", _MEMORY),
    ("passes", "UNABLE_TO_ACQUIRE_MEMORY", _MEMORY),
    ("passes", "GC overhead limit", _MEMORY),
    ("passes", "Not enough memory to build and broadcast", _MEMORY),
    ("passes", "maxResultSize", "the driver may hold no more: raise spark.driver.maxResultSize where it says so again"),
    ("full", "No space left on device", ""),
    ("full", "Disk quota exceeded", ""),
    ("passes", "UnknownHostException", "the network failed"),
    ("passes", "NoRouteToHostException", "the network failed"),
    ("passes", "java.net.ConnectException", "the network failed"),
    ("passes", "java.net.SocketException", "the network failed"),
    ("passes", "SSLException", "the network failed"),
    ("passes", "EOFException: End of stream", "the network failed"),
    ("passes", "NoHttpResponseException", "the network failed"),
    ("passes", "server failed to respond", "the network failed"),
    ("passes", "ConnectionClosedException", "the network failed"),
    ("passes", "ClosedChannelException", "the network failed"),
    ("passes", "UnresolvedAddressException", "the network failed"),
    ("passes", r"re:(?i)premature (EOF\b|end of (content|chunk))", "the network failed"),
    ("passes", r"re:(?i)connection (was )?(reset|refused|closed|aborted)", "the network failed"),
    ("passes", r"re:(?i)broken pipe", "the network failed"),
    ("passes", r"re:TimeoutException|TimeoutError|(?i:\btimed out\b)", "something took too long"),
    ("passes", r"re:Acquire operation took longer|Could not execute broadcast in", "something took too long"),
    ("passes", r"re:(?i)\bbad gateway\b|server ?is ?busy|\bServerBusy\b|ingress is over the account limit", "a server was too busy"),
    ("passes", r"re:(?i)slow ?down|throttl|too many requests|service unavailable|internal server error", "a server was too busy"),
    ("passes", r"re:(?i)status code:? (500|502|503|504|429)", "a server was too busy"),
    ("passes", r"re:DELTA_CONCURRENT_|Concurrent\w+Exception", "another writer came in between"),
    ("passes", r"re:(?i)(SparkContext|session) (was|has been) (shut ?down|stopped)", "Spark was stopped"),
    ("passes", r"re:(?i)job \S* ?cancell?ed|(?<![A-Z_])cancell?ed because", "it was cancelled"),
    ("refused", r"re:AccessDenied|AccessControlException|(?i:\baccess denied\b|permission denied)", ""),
    ("refused", r"re:(?i)status code:? (401|403)|\bforbidden\b|InvalidAccessKeyId|ExpiredToken", ""),
    ("refused", r"re:LOCATION_OVERLAP|\bPERMISSION_DENIED\b", ""),
    ("refused", r"re:(?i)INSUFFICIENT_PERMISSIONS|UNAUTHENTICATED|SignatureDoesNotMatch|NoAuthWithAWS", ""),
    ("stays", "DELTA_MISSING_CHANGE_DATA", _FEED_OFF),
    ("stays", "DELTA_CHANGE_TABLE_FEED_DISABLED", _FEED_OFF),
    ("stays", "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE", _RETYPED),
    ("stays", "DELTA_BLOCK_COLUMN_MAPPING_AND_CDC_OPERATION", _RETYPED),
    ("stays", "PARQUET_COLUMN_DATA_TYPE_MISMATCH", _RETYPED),
    ("stays", "SchemaColumnConvertNotSupportedException", _RETYPED),
    ("stays", "Parquet column cannot be converted", _RETYPED),
    ("stays", "FILE_NOT_EXIST", _FILES_GONE),
    ("stays", "PATH_NOT_FOUND", _FILES_GONE),
    ("stays", "FileNotFoundException", _FILES_GONE),
    ("stays", "DELTA_CHANGE_DATA_FILE_NOT_FOUND", _FILES_GONE),
    ("stays", "DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND_DELETED_FILE_RETENTION_DURATION", _TOO_OLD),
    ("stays", "DELTA_CDC_START_VERSION_AFTER_LATEST", _LOG_GONE),
    ("stays", "DELTA_VERSIONS_NOT_CONTIGUOUS", _LOG_GONE),
    ("stays", "DELTA_VERSION_NOT_FOUND", _LOG_GONE),
    ("stays", "DELTA_LOG_FILE_NOT_FOUND", _LOG_GONE),
    ("stays", "DELTA_TRUNCATED_TRANSACTION_LOG", _LOG_GONE),
    ("stays", "DELTA_NO_RECREATABLE_HISTORY_FOUND", _LOG_GONE),
    ("stays", "DELTA_STATE_RECOVER_ERROR", _LOG_GONE),
    ("stays", r"re:is not a Parquet file|ParquetDecodingException|CANNOT_READ_FILE_FOOTER|MALFORMED_\w*RECORD", _DAMAGED),
    ("stays", r"re:(?i)corrupted? (page|file|record)|checksum (error|mismatch)|ChecksumException", _DAMAGED),
    ("stays", "DELTA_REMOVE_FILE_CDC_MISSING_EXTENDED_METADATA", _BARE),
)  # fmt: skip


def cause_of(text: str) -> Cause:
    """The meaning of an error with this whole text."""
    for kind, word, why in _TABLE:
        if word.startswith("re:"):
            found = re.search(word[3:], text)
            if found:
                return Cause(kind, found[0], why)
        elif word in text:
            return Cause(kind, word, why)
    return Cause("unknown")


def then(cause: Cause) -> str:
    """The remedy where no range of a table can be given up: run it again, or mend something first."""
    if cause.kind == "no_file_system":
        return "Give Spark the Hadoop package of that file system, as hadoop-aws for s3a://, or name another path."
    if cause.kind == "refused":
        return "Let this role read it, then run it again."
    if cause.kind == "full":
        return "Free space where the ledger lies, and in Spark's own directories (spark.local.dir). Then run it again."
    if cause.kind == "passes":
        return f"Run it again: this passes ({cause.why})."
    if cause.kind == "stays":
        return f"Mend it first, for it stays: {cause.why}."
    return "Run it again; with -v Spark's own log shows more."


def cut(text: str, longest: int = LONGEST) -> str:
    """The text; its first words and an ellipsis where it is longer."""
    if len(text) <= longest:
        return text
    begun = text[: longest - 1]
    if not text[longest - 1].isspace():
        kept, _, torn = begun.rpartition(" ")
        begun = kept if kept and len(torn) < longest // 2 else begun
    return f"{begun.rstrip(' ,;:')}…"


def first_line(text: str) -> str:
    """The most telling line of an engine's error, without the names of exception classes, cut at a word."""
    line = most_telling(text)
    return cut(_CLASSES.sub("", line) or line)


def most_telling(text: str) -> str:
    """The most telling line of an engine's error: that of a Python worker, else the last cause, else the first line."""
    lines = [line for line in text.splitlines() if line.strip()]
    traceback = next(
        (n for n, line in enumerate(lines) if line.startswith("Traceback (most recent")), len(lines)
    )
    raised = next((line for line in lines[traceback + 1 :] if not line.startswith(" ")), None)
    causes = [line.strip() for line in lines if line.strip().startswith("Caused by:")]
    line = raised or (causes[-1] if causes else lines[0] if lines else "no message")
    return line.strip()
