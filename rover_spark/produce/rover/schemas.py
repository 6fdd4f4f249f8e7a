"""The Rover contract has no schemas to look up: its records are JSON."""

from __future__ import annotations

from rover_spark.config.settings import Settings
from rover_spark.errors import ConfigError
from rover_spark.produce.port import SchemaPages


def pages(settings: Settings) -> SchemaPages:
    """Refuses: raises ConfigError."""
    raise ConfigError(
        "a Rover export has no schemas",
        code="schemas_refused",
        remedy='They belong to contract = "currents".',
    )
