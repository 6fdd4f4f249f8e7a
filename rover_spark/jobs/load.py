"""Job: load what is new at a receiver's place into Delta tables, each record once.

    spark-submit jobs/load.py -c FILE --into PATH_OR_SCHEMA [--manifests URL] [--look-back 48h] [--strict] [-v]
    python -m rover_spark.jobs.load -c FILE --into PATH_OR_SCHEMA [--manifests URL] [--look-back 48h] [--strict] [-v]

A URL in place of ``-c FILE`` names the place without a configuration. The options, the settings and the exit codes (0 loaded, 1 the run failed, 2 wrong usage or configuration) are those of
`rover-spark load`. Promises the JSON document of ``--json`` as the last line of output.
"""

import sys

from rover_spark.cli import app

if __name__ == "__main__":
    app(["load", "--json", *sys.argv[1:]])
