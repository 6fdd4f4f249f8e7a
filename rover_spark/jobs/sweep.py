"""Job: remove what abandoned runs staged.

    spark-submit jobs/sweep.py -c FILE [--older-than 7d] [-v]
    python -m rover_spark.jobs.sweep -c FILE [--older-than 7d] [-v]

The options, the settings and the exit codes (0 done, 1 the run failed, 2 wrong usage or configuration) are those of
`rover-spark sweep`. Promises the JSON document of ``--json`` as the last line of output; decides nothing itself.
"""

import sys

from rover_spark.cli import app

if __name__ == "__main__":
    app(["sweep", "--json", *sys.argv[1:]])
