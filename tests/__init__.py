"""The tests. ``ROVER_SPARK__TABLES__ENGINE=spark`` runs any of them with logs and ledger left to Spark, in child processes, too."""

import os

if os.environ.get("ROVER_SPARK__TABLES__ENGINE") == "spark":
    from rover_spark.config.access import TableAccess

    TableAccess.model_fields["engine"].default = "spark"
    TableAccess.model_rebuild(force=True)
