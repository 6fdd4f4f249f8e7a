"""Whether an S3 server takes conditional puts at their word. One that ignores ``If-None-Match`` lets two drivers both win.

Amazon's own S3 keeps them. Of others this asks once a process, before the first commit, with the bytes of a commit that is
already there: a server that ignores the condition writes the same bytes again.
"""

from __future__ import annotations

from threading import Lock

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
            _asked[at] = keeps_conditions(place, f"_delta_log/{version:020}.json")
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


def unconditional(endpoint: str) -> ConfigError:
    """The error for such a server."""
    return ConfigError(
        f"ledger: {endpoint} ignores the condition of a put (If-None-Match): two drivers could both record a transition",
        code="ledger_unconditional",
        remedy="Put the ledger into a catalog, on a disk, or into a bucket of another server; or let a single driver "
        'write it, with engine = "spark" under [tables].',
    )
