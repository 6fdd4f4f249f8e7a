"""What the commands share: the ledger and store that the settings name, and the datasets and instant of a call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from rover_spark.config.mistakes import likely
from rover_spark.config.settings import Settings
from rover_spark.delta.session import Session
from rover_spark.errors import ConfigError
from rover_spark.ledger.table import Ledger
from rover_spark.produce import port
from rover_spark.store import Store, open_store


def store_of(settings: Settings) -> Store:
    """The destination."""
    return open_store(settings.destination, settings.name, settings.access)


def ledger_of(session: Session, settings: Settings) -> Ledger:
    """The ledger, open; it is not created."""
    ledger = unopened(session, settings)
    ledger.open(create=False)
    return ledger


def unopened(session: Session, settings: Settings) -> Ledger:
    """The ledger, before its table is read."""
    return Ledger(session, settings.ledger, settings.name, port.decode, settings.tables)


def chosen(settings: Settings, datasets: Sequence[str]) -> list[str]:
    """The datasets of a call in the order of the settings; all of them where it names none. Raises ConfigError."""
    for name in datasets:
        if name not in settings.delivers:
            raise unknown(name, settings.delivers)
    return [name for name in settings.delivers if not datasets or name in datasets]


def unknown(name: str, known: Sequence[str]) -> ConfigError:
    """The error for a dataset that is not in the configuration."""
    return ConfigError(
        f"--dataset {name}: the configuration has no such dataset{likely(name, known)}",
        code="dataset_unknown",
        remedy=f"There are {', '.join(known)}.",
    )


def instant_of(now: datetime | None) -> int:
    """The instant of a call in ms since 1970, by default this one. Raises ConfigError where it has no time zone."""
    if now is None:
        now = datetime.now(timezone.utc)  # noqa: TID251 - the one clock: above every plan
    elif now.tzinfo is None:
        raise ConfigError(
            "--now has no time zone", code="now_without_zone", remedy="Write it as 2026-11-21T10:15:00Z."
        )
    return int(now.timestamp() * 1000)
