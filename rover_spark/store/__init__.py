"""Destinations behind one port. Driver and tasks open them with ``open_store``."""

from __future__ import annotations

from rover_spark.config.access import Access
from rover_spark.errors import ConfigError
from rover_spark.store.base import (
    STAGING,
    Mine,
    ObjectInfo,
    Staging,
    Store,
    below,
    prefix_of,
    staged_whole,
)
from rover_spark.store.local import LocalStore
from rover_spark.store.memory import MemoryStore
from rover_spark.store.outcome import staged_lost

__all__ = [
    "STAGING",
    "Mine",
    "ObjectInfo",
    "Staging",
    "Store",
    "below",
    "open_store",
    "prefix_of",
    "staged_lost",
    "staged_whole",
]

_EXTRAS = {"s3": "s3", "gs": "gcs", "az": "azure"}


def open_store(destination: str, export: str, access: Access | None = None) -> Store:
    """The store at a destination URL. ``export`` names the export whose staging it uses, ``access`` how to reach it.

    Raises:
        ConfigError: no adapter for that scheme, or its SDK is not installed.
    """
    scheme, _, rest = destination.partition("://")
    if scheme == "file":
        return LocalStore(rest, export, (access.staging or "").removeprefix("file://") if access else "")
    if scheme == "memory":
        return MemoryStore(rest)
    try:
        if scheme == "s3":
            from rover_spark.store.s3 import S3Store

            return S3Store(rest, access or Access())
        if scheme == "gs":
            from rover_spark.store.gcs import GcsStore

            return GcsStore(rest, export, access or Access())
        if scheme == "az":
            from rover_spark.store.azure import AzureStore

            return AzureStore(rest, access or Access())
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"destination: {scheme}:// needs a package that is not installed: {missing.name}",
            code="no_sdk",
            remedy=f"Install rover_spark[{_EXTRAS[scheme]}] on the driver and on every executor.",
        ) from missing
    raise ConfigError(
        f"destination: no store for the scheme {scheme!r}",
        code="config_invalid",
        remedy="Use s3://, gs://, az://, file:// or memory://.",
    )
