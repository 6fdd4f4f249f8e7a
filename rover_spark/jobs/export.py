"""Job: deliver what is due.

    spark-submit jobs/export.py -c FILE [--dataset NAME ...] [--now ISO] [--strict] [-v]
    python -m rover_spark.jobs.export -c FILE [--dataset NAME ...] [--now ISO] [--strict] [-v]

The options, the settings and the exit codes (0 done, 1 the run failed, 2 wrong usage or configuration) are those of
`rover-spark export`. Promises the JSON document of ``--json`` as the last line of output; decides nothing itself.
"""

import sys

from rover_spark.cli import app

if __name__ == "__main__":
    app(["export", "--json", *sys.argv[1:]])
