"""Errors that no other module expects: the disk, Spark's Java process, a defect of this program. One message each.

Only `-v` prints the stack trace.
"""

from __future__ import annotations

from rover_spark.errors import Problem, of_a_file

_NO_ANSWER = (
    "Answer from Java side is empty",
    "while obtaining a new communication channel",
    "while sending or receiving",
)

# what is true after an error of a receiver's command, which has no ledger
_HOLDS = {"conform": "", "ddl": "", "load": "what was loaded before is kept"}


def holds(command: str) -> str:
    """What is still true when a command fails in a way that nobody expects; empty where it changes nothing."""
    return _HOLDS.get(command, "what the ledger holds is still true")


def problem_of(error: BaseException, command: str) -> Problem:
    """The problem that a person reads for an exception."""
    true = f"; {holds(command)}" if holds(command) else ""
    if _of_the_gateway(error):
        return Problem(
            "spark_gone",
            f"Spark's Java process ended, or is out of reach, while {command} ran{true}",
            f"Run {command} again. Where memory ran out (the system's log says so), give spark.driver.memory less or the "
            "machine more.",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return of_a_file(error, str(error.filename or "a file"), f"Then run {command} again.")
    first = next(iter(str(error).splitlines()), "")[:300]
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return Problem(
        "unexpected",
        f"{command} failed with an unexpected error: {what}{true}",
        "This is a fault of rover_spark: run it again with -v, which prints a stack trace, and report that.",
    )


def _of_the_gateway(error: BaseException | None) -> bool:
    """Whether Spark's Java process did not answer. What it answers with an error is none of these."""
    while error is not None:
        module = type(error).__module__
        if module.startswith("py4j") and (
            type(error).__name__ == "Py4JNetworkError" or any(word in str(error) for word in _NO_ANSWER)
        ):
            return True
        if isinstance(error, ConnectionError) and "py4j" in str(error.__traceback__ and _files(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _files(error: BaseException) -> list[str]:
    found, trace = [], error.__traceback__
    while trace is not None:
        found.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    return found
