"""rover_spark: customer data from Delta tables into customers' buckets, whole, once, provably.

The public names load on first use: building a key needs neither Spark nor a store.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.5.0"

_PUBLIC = {
    "rover_key": "rover_spark.contract.keys",
    "parse_rover_key": "rover_spark.contract.keys",
    "Settings": "rover_spark.config.settings",
    "load": "rover_spark.config.settings",
    "parse": "rover_spark.config.settings",
    "BatchPlan": "rover_spark.produce.rover.plan",
    "RoverSparkError": "rover_spark.errors",
    "ConfigError": "rover_spark.errors",
    "RunError": "rover_spark.errors",
    "SourceGap": "rover_spark.errors",
    "build_session": "rover_spark.face.session",
    "commands": "rover_spark.face.commands",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - names, all of them strings


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_PUBLIC[name])
    return module if name == "commands" else getattr(module, name)
