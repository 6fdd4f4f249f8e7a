"""The sample company's stream of events: one Delta table of messages and behaviour, delivered under Currents.

Promises that the same seed and number of fans give the same events. On the second day every event gains a field.
"""

from __future__ import annotations

import json
from pathlib import Path

from pyspark.sql import SparkSession

# event type -> kind in the table, how many a day for each fan
STREAM = {
    "users.behaviors.CustomEvent": ("custom", 0.8),
    "users.behaviors.Purchase": ("purchase", 0.15),
    "users.behaviors.app.SessionStart": ("session", 1.0),
    "users.messages.pushnotification.Send": ("push_send", 0.6),
    "users.messages.pushnotification.Open": ("push_open", 0.1),
    "users.messages.email.Send": ("email_send", 0.5),
    "users.messages.email.Open": ("email_open", 0.2),
    "users.messages.email.Click": ("email_click", 0.05),
}
_ZONES = ("Europe/Oslo", "Europe/London", "America/New_York")
_NO_ZONE = "Middle-earth/Shire"  # one event in a hundred has it; as many arrive late
_COLUMNS = "id STRING, time TIMESTAMP, timezone STRING, kind STRING, user_id STRING, campaign STRING, properties MAP<STRING, STRING>"


class Messages:
    """Creates the table and appends a day of events at a time."""

    def __init__(self, spark: SparkSession, root: Path, *, fans: int, seed: int) -> None:
        self._spark, self._table, self._fans, self._seed = spark, root / "messages", fans, seed
        self._day = 0

    @property
    def _name(self) -> str:
        return f"delta.`{self._table}`"

    def found(self) -> int:
        """Creates the table with its first day; returns the number of events."""
        self._spark.sql(
            f"CREATE TABLE {self._name} ({_COLUMNS}) USING delta TBLPROPERTIES (delta.enableChangeDataFeed = true)"
        )
        return self.live_a_day()

    def gain_a_field(self) -> None:
        """Adds a column: later events also have the device that they came from."""
        self._spark.sql(f"ALTER TABLE {self._name} ADD COLUMNS (device STRING)")

    def live_a_day(self) -> int:
        """Appends another day's events, some of them more than an hour late; returns their number."""
        parts = [self._events(kind, max(1, int(self._fans * share))) for kind, share in STREAM.values()]
        wide = "device" in self._spark.table(self._name).columns
        device = ", element_at(array('iOS', 'Android'), 1 + cast(pmod(h, 2) AS int))" if wide else ""
        self._day += 1
        zones = ", ".join(f"'{zone}'" for zone in _ZONES)
        self._spark.sql(f"""
            INSERT INTO {self._name}
            SELECT concat(kind, '-{self._day}-', id), now() - make_interval(0, 0, 0, 0, 0, 0, if(pmod(h, 100) = 0, 3700 + pmod(h, 1700), pmod(h, 900))),
                if(pmod(h, 100) = 1, '{_NO_ZONE}', element_at(array({zones}), 1 + cast(pmod(h, {len(_ZONES)}) AS int))), kind,
                concat('fan-', pmod(h, {self._fans})), if(kind LIKE '%\\\\_%', concat('campaign-', pmod(h, 7)), null),
                map('day', '{self._day}', 'nr', cast(id AS STRING)){device}
            FROM ({" UNION ALL ".join(parts)})
        """)
        return sum(max(1, int(self._fans * share)) for _, share in STREAM.values())

    def _events(self, kind: str, count: int) -> str:
        return f"SELECT id, '{kind}' AS kind, abs(hash(id, '{kind}', {self._seed}, {self._day})) AS h FROM range({count})"

    def configuration(self, root: Path, destination: str) -> str:
        """The configuration file of the integration."""

        def text(value: object) -> str:
            return json.dumps(str(value))  # TOML's basic strings have JSON's escapes

        events = "\n".join(
            f'[events."{name}"]\ntable = {text(self._table)}\nwhere = "kind = \'{kind}\'"\nstart = "earliest"\n'
            for name, (kind, _) in STREAM.items()
        )
        return f"""# written by `rover-spark demo`; the keys are explained in conf/reference.toml
name = "acme"
contract = "currents"
destination = {text(destination)}
ledger = {text(root / "control" / "acme_events")}

[store]
can_read = true         # the demo verifies what it delivered

[currents]
cluster = "prod-01"
connection = "S3"
integration_id = "65f1c2d3"
zone = "eu"

{events}"""
