"""Job: try, on the cluster itself, everything that delivery needs.

    spark-submit jobs/check.py -c FILE [-v]
    python -m rover_spark.jobs.check -c FILE [-v]

The settings and the exit codes (0 no obstacle found, 1 delivery would fail, 2 wrong usage or configuration) are
those of `rover-spark check`. Promises the JSON document of ``--json`` as the last line of output; decides nothing itself.
"""

import sys

from rover_spark.cli import app

if __name__ == "__main__":
    app(["check", "--json", *sys.argv[1:]])
