"""Whether the place of a ledger lets one of two drivers win. An S3 server that ignores ``If-None-Match`` lets both.

Amazon's own S3 keeps them. Of others this asks once a process, before the first commit, with the bytes of a commit that is
already there: a server that ignores the condition writes the same bytes again.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path
from threading import Lock

from rover_spark.delta.log.folder import commit_path
from rover_spark.delta.native_errors import native_errors
from rover_spark.delta.storage import Reached
from rover_spark.errors import ConfigError

_asked: dict[tuple[str, str], bool] = {}
_lock = Lock()


def require_conditional_puts(place: Reached, version: int) -> None:
    """Does nothing where commits are exclusive anyway; ``version`` is one that the ledger has.

    Raises:
        ConfigError: the server ignores the condition of a put.
    """
    endpoint = place.options.get("aws_endpoint_url")
    if endpoint is None:
        return
    with _lock:
        at = endpoint, place.url
        if at not in _asked:
            _asked[at] = keeps_conditions(place, commit_path(version))
    if not _asked[at]:
        raise unconditional(endpoint)


def keeps_conditions(place: Reached, name: str) -> bool:
    """Puts an object that exists once more, where it does not exist. ``name`` is below the table's directory."""
    import obstore
    from obstore.exceptions import AlreadyExistsError

    with native_errors(place):
        objects = place.objects()
        data = obstore.get(objects, name).bytes()
        try:
            obstore.put(objects, name, data, mode="create")
        except AlreadyExistsError:
            return True
    return False


def tried_beside(place: Reached, room: int) -> bool:
    """Writes so many bytes beside the table, removes them, and returns whether their place keeps conditions.

    Raises:
        NativeFailed: this role may not write there.
    """
    attempt = uuid.uuid4().hex  # noqa: TID251 - two checks at once do not meet; nothing is delivered under it
    with native_errors(place):
        if place.is_local:
            return _linked_once(Path(f"{place.url}_check_{attempt}"), room)
        import obstore

        beside = Reached(f"{place.url}_check", place.options)
        objects = beside.objects()
        obstore.put(objects, attempt, bytes(room))
        try:
            return keeps_conditions(beside, attempt)
        finally:
            with suppress(Exception):  # a role that may not remove leaves it there
                obstore.delete(objects, attempt)


def _linked_once(file: Path, room: int) -> bool:
    """On a disk a commit is a link to a file that was written: the file system must know links, and refuse the second."""
    commit = file.with_name(f"{file.name}_commit")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(room))  # a full disk takes an empty file
        commit.hardlink_to(file)
        try:
            commit.hardlink_to(file)
        except FileExistsError:
            return True
        return False
    finally:
        for each in (commit, file):
            with suppress(OSError):
                each.unlink()


def unconditional(endpoint: str) -> ConfigError:
    """The error for such a server."""
    return ConfigError(
        f"ledger: {endpoint} ignores the condition of a put (If-None-Match): two drivers could both record a transition",
        code="ledger_unconditional",
        remedy="Put the ledger into a catalog, on a disk, or into a bucket of another server; or let a single driver "
        'write it, with engine = "spark" under [tables].',
    )
