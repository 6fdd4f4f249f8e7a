"""What is told of a long error of Spark's: the one line that says most, and what a task itself tells."""

from __future__ import annotations

import traceback

import pytest
from pyspark.errors import AnalysisException, PythonException

from rover_spark.delta.anchor import rerun_remedy
from rover_spark.delta.causes import LONGEST, Kind, cause_of, cut, first_line
from rover_spark.delta.engine_errors import engine, reading
from rover_spark.delta.task_errors import problem_in, sent_as_text
from rover_spark.errors import (
    ConfigError,
    Problem,
    RoverSparkError,
    RunError,
    SourceGap,
    SourceUnread,
    StoreError,
)

WORKER = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/x/pyspark/worker.py", line 1, in main
    raise
ModuleNotFoundError: No module named 'rover_spark'

\tat org.apache.spark.api.python.BasePythonRunner.handle
"""

RERUN = rerun_remedy("fan_profiles", accept_gap=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no message"),
        ("\n  one line  \n", "one line"),
        (
            "Job aborted\n\tat x.y\nCaused by: a.B: first\nCaused by: c.D: disk full\n\tat z",
            "c.D: disk full",
        ),
        (
            "java.lang.RuntimeException: java.lang.ClassNotFoundException: Class o.S3A not found",
            "Class o.S3A not found",
        ),
        (
            "Caused by: org.apache.hadoop.fs.FileAlreadyExistsException: it is no directory",
            "it is no directory",
        ),
        ("java.lang.OutOfMemoryError", "java.lang.OutOfMemoryError"),
        ("main.sales.events: is empty", "main.sales.events: is empty"),
        (WORKER, "ModuleNotFoundError: No module named 'rover_spark'"),
        ("Job aborted\nTraceback (most recent call last):\n  File", "Job aborted"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_the_line_that_says_most(text: str, said: str) -> None:
    assert first_line(text) == said


def raised_in_a_task(error: Exception) -> str:
    """What Spark shows of it on the driver."""
    try:
        with sent_as_text():
            raise error
    except Exception as raised:
        lines = "".join(traceback.format_exception(raised))
        return f"Job aborted due to stage failure\n  An exception was thrown:\n{lines}\n\tat org.apache.spark.x\n"


def read_after(error: Exception) -> RoverSparkError:
    with pytest.raises(RunError) as caught, reading("fan_profiles", "version 3 of t", remedy=RERUN):
        raise PythonException(raised_in_a_task(error))
    return caught.value


@pytest.mark.parametrize("kind", [StoreError, ConfigError])
def test_what_a_task_is_told_to_do_reaches_the_driver(kind: type[RoverSparkError]) -> None:
    remedy = 'The bucket lies in another region: set store.region = "eu-north-1".'
    error = read_after(kind("cannot stage s3://b/é: PermanentRedirect", code="a_code", remedy=remedy))
    assert type(error) is StoreError and error.code == "a_code"
    assert error.message.startswith("fan_profiles: cannot stage s3://b/é: PermanentRedirect; nothing new")
    assert error.remedy == f"{remedy} Then run export again."


def test_what_says_already_to_run_again_says_it_once() -> None:
    error = read_after(StoreError("cannot", code="store_refused", remedy="Run export again: it goes on."))
    assert error.remedy == "Run export again: it goes on."


def test_a_problem_of_any_length_arrives_cut_and_without_its_cause() -> None:
    error = StoreError("m\n" * 5_000, code="store_refused", remedy="r" * 5_000)
    error.__cause__ = ValueError("hunter2")
    text = raised_in_a_task(error)
    assert "hunter2" not in text
    found = read_after(error)
    assert 1_000 < len(found.message) < 2_000 and 1_000 < len(found.remedy) < 2_000


@pytest.mark.parametrize(
    "line", ["rover_spark problem: ", 'rover_spark problem: {"code":', "rover_spark problem: {}", "x"]
)
def test_a_line_that_is_no_problem_tells_none(line: str) -> None:
    assert problem_in(line) is None


def test_what_follows_a_problem_in_its_line_is_left_alone() -> None:
    line = 'RuntimeError: rover_spark problem: {"code": "a", "message": "b", "remedy": "c"}, and more'
    assert problem_in(line) == Problem("a", "b", "c")


def test_another_error_of_a_task_stays_what_it_is() -> None:
    error = read_after(ValueError("a defect"))
    assert error.code == "spark_failed" and "ValueError: a defect" in error.message


@pytest.mark.parametrize(
    ("text", "told_as"),
    [
        ("a b", "a b"),
        ("word " * 59 + "ended", "word " * 59 + "ended"),  # 300 characters
        ("word " * 60 + "over", "word " * 59 + "word…"),
        ("a" * 200 + " " + "b" * 200, "a" * 200 + "…"),
        ("a" * 100 + " " + "b" * 300, "a" * 100 + " " + "b" * 198 + "…"),  # one word is most of it
        ("one, " * 80, "one, " * 59 + "one…"),
    ],
)
def test_a_long_line_ends_at_a_word(text: str, told_as: str) -> None:
    assert cut(text) == told_as and len(told_as) <= LONGEST


# as engines wrote them, shortened
ERRORS: list[tuple[str, Kind]] = [
    ("[DELTA_MISSING_CHANGE_DATA] Error getting change data for range [2 , 5]", "stays"),
    ("[DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA] Retrieving table changes between", "stays"),
    (
        "[FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH] Encountered error while reading file file:/t/a.parquet",
        "stays",
    ),
    ("[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error while reading file file:/t/a.parquet", "stays"),
    (
        "[DELTA_REMOVE_FILE_CDC_MISSING_EXTENDED_METADATA] RemoveFile created without extended metadata is ineligible "
        "for CDC:RemoveFile(part-0.parquet,Some(1),true,None,Map(),None,Map(),null,None,None,null,None)",
        "stays",
    ),
    ("java.lang.RuntimeException: file:/t/a.parquet is not a Parquet file. Expected magic number", "stays"),
    (
        "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file s3a://b/a.parquet\n"
        "Caused by: java.net.SocketTimeoutException: Read timed out",
        "passes",
    ),
    ("java.io.IOException: Connection reset by peer", "passes"),
    ("ExecutorLostFailure (executor 3 exited caused by one of the running tasks)", "passes"),
    ("Job aborted\nCaused by: java.lang.OutOfMemoryError: Java heap space", "passes"),
    (
        "org.apache.spark.memory.SparkOutOfMemoryError: [UNABLE_TO_ACQUIRE_MEMORY] Unable to acquire 65536",
        "passes",
    ),
    ("java.io.IOException: No space left on device", "full"),
    ("org.apache.http.NoHttpResponseException: b.s3.example:443 failed to respond", "passes"),
    ("Unable to execute HTTP request: The target server failed to respond", "passes"),
    (
        "[FAILED_READ_FILE.NO_HINT] a.parquet\nCaused by: org.apache.http.ConnectionClosedException: Premature end of "
        "Content-Length delimited message body (expected: 9; received: 3)",
        "passes",
    ),
    ("java.io.EOFException: Premature EOF: no length prefix available", "passes"),
    (
        "software.amazon.awssdk.core.exception.SdkClientException: Acquire operation took longer than",
        "passes",
    ),
    ("Operation failed: <html><title>502 Bad Gateway</title>", "passes"),
    ('"The server is busy.", 503, GET', "passes"),
    ("Ingress is over the account limit.", "passes"),
    ("Caused by: java.nio.channels.ClosedChannelException\n\tat org.apache", "passes"),
    ("Caused by: java.nio.channels.UnresolvedAddressException", "passes"),
    ("org.apache.spark.SparkException: Could not execute broadcast in 300 secs.", "passes"),
    ("Not enough memory to build and broadcast the table to all worker nodes", "passes"),
    (
        "Total size of serialized results of 9 tasks is bigger than spark.driver.maxResultSize (1024.0 MiB)",
        "passes",
    ),
    ("Container killed by YARN for exceeding memory limits. 5.5 GB of 5.5 GB used", "passes"),
    ("org.apache.spark.ExecutorDeadException: The relative remote executor(Id: 3) is dead", "passes"),
    ("java.util.concurrent.TimeoutException: Futures timed out after [300 seconds]", "passes"),
    ("java.net.UnknownHostException: bucket.example", "passes"),
    (
        "Please reduce your request rate. (Service: Amazon S3; Status Code: 503; Error Code: SlowDown)",
        "passes",
    ),
    ("Job 7 cancelled because SparkContext was shut down", "passes"),
    ("org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)", "passes"),
    (
        "[INVALID_PARAMETER_VALUE.LOCATION_OVERLAP] Input path url 's3://b/t/_delta_log' overlaps with managed storage",
        "refused",
    ),
    ("PERMISSION_DENIED: User does not have READ FILES on External Location 'x'", "refused"),
    ("[INSUFFICIENT_PERMISSIONS] Insufficient privileges", "refused"),
    ("AccessDenied: Access Denied (Service: Amazon S3; Status Code: 403)", "refused"),
    ("org.apache.hadoop.security.AccessControlException: Permission denied: user=a", "refused"),
    (
        "java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found",
        "no_file_system",
    ),
    ("[DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND_DELETED_FILE_RETENTION_DURATION] Cannot time travel", "stays"),
    ("[DIVIDE_BY_ZERO] Division by zero", "unknown"),
    ("java.lang.NullPointerException", "unknown"),
    ("column delivery_timed_outs.connection_resets cannot be", "unknown"),
    ("column bad_gateway_count.premature_eofs.server_busyness cannot be", "unknown"),
]


@pytest.mark.parametrize(("text", "kind"), ERRORS)
def test_an_error_passes_stays_or_is_not_known(text: str, kind: Kind) -> None:
    assert cause_of(text).kind == kind
    with pytest.raises(RunError) as caught, reading("fan_profiles", "versions 2 to 3 of /t", remedy=RERUN):
        raise PythonException(text)
    error = caught.value
    assert "versions 2 to 3 of /t" in error.message, "the table is named"
    assert type(error) is {"stays": SourceGap, "unknown": SourceUnread}.get(kind, RunError)
    assert ("rover-spark rerun" in error.remedy) == (kind in {"stays", "unknown"})
    assert ("Run export again" in error.remedy) == (kind in {"passes", "unknown"})


def test_a_version_that_cannot_be_read_is_not_mended_by_a_rerun() -> None:
    with pytest.raises(SourceGap) as caught, reading("fan_profiles", "version 3 of /t", remedy="Mend it."):
        raise PythonException("[FAILED_READ_FILE.FILE_NOT_EXIST] a.parquet")
    assert caught.value.remedy == "Mend it."


def test_an_error_says_what_still_holds() -> None:
    for holds, said in (((), "What the ledger holds is still true."), (("it is kept",), "It is kept.")):
        with pytest.raises(RunError) as found, engine("load", *holds):
            raise AnalysisException("no")
        assert found.value.message == "load: Spark failed: no" and found.value.remedy.endswith(said)
