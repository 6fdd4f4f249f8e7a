"""Job: read the bucket back and compare it with the ledger.

    spark-submit jobs/verify.py -c FILE [-v]
    python -m rover_spark.jobs.verify -c FILE [-v]

The options, the settings and the exit codes (0 as the ledger says, 1 it differs, 2 wrong usage or configuration) are
those of `rover-spark verify`. Promises the JSON document of ``--json`` as the last line of output; writes nothing.
"""

import sys

from rover_spark.cli import app

if __name__ == "__main__":
    app(["verify", "--json", *sys.argv[1:]])
