"""The commands as functions, for the command line, jobs and notebooks. Each gives a Result; none prints.

    result = commands.export(spark, settings)
    result.ok, result.batches, result.problems, result.document()

Raises RoverSparkError where there is no result: ConfigError before anything was written, RunError where the run failed.
"""

from rover_spark.face.commands.deliver import export, export_every, plan, redeliver
from rover_spark.face.commands.look import check, quarantine, schemas, status, verify
from rover_spark.face.commands.upkeep import accept, rerun, sweep
from rover_spark.face.receivers.conform import conform
from rover_spark.face.receivers.load import load, load_stream, loaded_views
from rover_spark.face.receivers.statements import ddl

__all__ = [
    "accept",
    "check",
    "conform",
    "ddl",
    "export",
    "export_every",
    "load",
    "load_stream",
    "loaded_views",
    "plan",
    "quarantine",
    "redeliver",
    "rerun",
    "schemas",
    "status",
    "sweep",
    "verify",
]
