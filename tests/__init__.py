"""The tests. ``ROVER_SPARK__TABLES__ENGINE=spark`` runs them with logs and ledger left to Spark, in child processes, too."""

import os
from importlib.util import find_spec

_SPARK = os.environ.get("ROVER_SPARK__TABLES__ENGINE") == "spark"
# whether logs and ledger are read without Spark
NATIVE = not _SPARK and find_spec("deltalake") is not None

if _SPARK:
    from rover_spark.config.access import TableAccess

    TableAccess.model_fields["engine"].default = "spark"
    TableAccess.model_rebuild(force=True)
