"""How a table by path is reached without Spark: the URL and options that ``deltalake`` takes, and its objects by ``obstore``.

Promises that no answer waits for a server: credentials come from the SDKs' own chains, asked anew for each table, since a
session's token expires. Refuses with ``NotNative``, and the reason, what these libraries cannot reach or would take for
another place than Spark does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from rover_spark.config.access import TableAccess
from rover_spark.config.expressions import scheme_of
from rover_spark.delta.credentials import ChainFailed, NoCredentials, of_aws, of_azure, of_google
from rover_spark.delta.default_fs import default_file_system
from rover_spark.delta.session import Session

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_OLDEST = {"deltalake": (1, 6), "obstore": (0, 8), "pyarrow": (15, 0)}
# deltalake decodes or refuses these itself, so it would open another place, or none
_UNFIT = {"file": re.compile(r"[%\[\]|^\\\x00-\x1f\x7f]"), "cloud": re.compile(r"[%#?\[\]|^\\\x00-\x1f\x7f]")}
_CLIENT = {"connect_timeout": "10s", "timeout": "60s"}
_RETRIES = {"max_retries": "5", "retry_timeout": "60s"}
_HTTP = "allow_http"
S3, _GS, _AZ = frozenset({"s3", "s3a", "s3n"}), frozenset({"gs"}), frozenset({"abfss", "abfs", "az"})
IN_BUCKETS = S3 | _GS | _AZ


class NotNative(Exception):
    """Spark must serve this table: the message says why, and holds no secret."""

    def __init__(self, why: str, *, failed: bool = False) -> None:
        super().__init__(why)
        self.failed = failed  # something is broken that holds for now: another driver may reach it natively


@dataclass(frozen=True)
class Reached:
    """A table's place: an absolute path, or a URL, and the options that open it. They may hold secrets: ``repr`` shows none."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it is a directory of this machine."""
        return self.url.startswith("/")

    def objects(self) -> ObjectStore:
        """The objects below the table's directory; their names begin there."""
        from obstore import store

        if self.is_local:
            return store.LocalStore(self.url)
        made: Any = store.from_url
        config = {
            name: value for name, value in self.options.items() if name not in {*_CLIENT, *_RETRIES, _HTTP}
        }
        client = {**_CLIENT, _HTTP: _HTTP in self.options}
        retry = {"max_retries": int(_RETRIES["max_retries"]), "retry_timeout": timedelta(seconds=60)}
        found: ObjectStore = made(self.url, config=config, client_options=client, retry_config=retry)
        return found


def reached(table: str, access: TableAccess, session: Session | None = None) -> Reached:
    """The place of a table.

    Raises:
        NotNative: Spark must serve it.
    """
    if access.engine == "spark":
        raise NotNative('tables.engine is "spark"')
    if "/" not in table:
        raise NotNative("a catalog's table: only Spark knows where it lies")
    if missing := unmet():
        raise NotNative(f"{missing}: pip install 'rover_spark[native]'")
    scheme = scheme_of(table)
    place = table.rstrip("/")
    unfit = _UNFIT["file" if scheme == "file" else "cloud"].search(place)
    if unfit:
        raise NotNative(f"deltalake opens no path that holds {unfit[0]!r}")
    if scheme == "file":
        return Reached(_local(place, session))
    if scheme not in IN_BUCKETS:
        raise NotNative(f"deltalake knows no scheme {scheme}://")
    rest = place.removeprefix(f"{scheme}://")
    if rest == place or not rest or rest.startswith("/"):
        raise NotNative(f"{place} names no bucket")
    try:
        if scheme in S3:
            return Reached(f"s3://{rest}", {**of_aws(access), **_CLIENT, **_RETRIES})
        if scheme in _GS:
            return Reached(f"gs://{rest}", {**of_google(), **_CLIENT, **_RETRIES})
        return Reached(f"{scheme}://{rest}", {**of_azure(), **_CLIENT, **_RETRIES})
    except NoCredentials as nothing:
        raise NotNative(str(nothing), failed=isinstance(nothing, ChainFailed)) from None


@lru_cache(maxsize=1)
def unmet() -> str:
    """Which package is missing or too old for reading without Spark; empty where none is."""
    for name, oldest in _OLDEST.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            return f"{name} is not installed"
        parts = re.findall(r"\d+", found)[:2]
        if tuple(int(part) for part in parts) < oldest:
            return f"{name} {found} is older than {oldest[0]}.{oldest[1]}"
    return ""


def _local(place: str, session: Session | None) -> str:
    if place.startswith("file:"):
        return "/" + place.removeprefix("file:").lstrip("/")
    elsewhere = default_file_system(session)
    if elsewhere:
        raise NotNative(
            f"Spark looks for a path without a scheme in {elsewhere}; file:/… is this machine's disk"
        )
    return "/" + place.lstrip("/")
