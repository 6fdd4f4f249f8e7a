"""What ``deltalake`` and ``obstore`` raise becomes one error, with one line of text in which no secret stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rover_spark.delta.causes import Cause, cause_of, cut
from rover_spark.delta.storage import Reached
from rover_spark.errors import RoverSparkError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_QUERY = re.compile(r"(https?://[^\s?]+)\?\S*")
_USER = re.compile(r"(https?://)[^\s/@]+@")
_UNREACHED = re.compile(r"HTTP error|error sending request|dns error|Connection refused", re.IGNORECASE)
_PASSED_ON = (KeyboardInterrupt, SystemExit, GeneratorExit, RoverSparkError)


class NativeFailed(Exception):
    """A table could not be read or written without Spark. The message is one line, and holds no secret."""

    def __init__(self, text: str, *, absent: bool = False, beyond: bool = False) -> None:
        super().__init__(text)
        self.absent = absent
        self.beyond = beyond  # the table has what only Spark knows

    @property
    def cause(self) -> Cause:
        """What kind of failure it is."""
        text = str(self)
        if _UNREACHED.search(text):
            return Cause("passes", why="the network failed")
        return cause_of(text)

    @property
    def is_taken(self) -> bool:
        """Whether another writer committed the same transaction first."""
        return "Concurrent transaction failed" in str(self)

    @property
    def is_contended(self) -> bool:
        """Whether other writers came in between: the same commit may succeed on the newest version."""
        return (
            re.search(r"(?i)failed to commit|commit attempts|metadata changed|already exists", str(self))
            is not None
        )


@contextmanager
def native_errors(place: Reached) -> Iterator[None]:
    """Turns whatever these libraries raise into a NativeFailed; a panic of theirs is no Exception."""
    try:
        yield
    except (*_PASSED_ON, NativeFailed):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception
        text, name = str(error), type(error).__name__
        beyond = name == "DeltaProtocolError" or text.startswith("Kernel error: Unsupported")
        raise NativeFailed(
            _line(text, place) or name, absent=name == "TableNotFoundError", beyond=beyond
        ) from None


def _line(text: str, place: Reached) -> str:
    """The text on one line, without what a server sent, but for its error code, and without any value of the options."""
    text = _COLOURS.sub("", text)
    code = _CODE.search(text)
    text = re.split(r"<\?xml|<Error>|Debug source:", text)[0]
    text = " ".join(text.replace("↳", " ").split())
    if code:
        text = f"{text} {code[1]}"
    text = _USER.sub(r"\1", _QUERY.sub(r"\1", text))
    for name, value in place.options.items():
        if len(value) > 3 and re.search(r"key|secret|token", name):
            text = text.replace(value, "…")
    return cut(text)
