"""spark-submit entry point: load what is new at a receiver's place into Delta tables.

    spark-submit jobs/load.py -c FILE --into PATH_OR_SCHEMA [--look-back 48h] [--strict] [-v]

The job itself is in the package, and so in the wheel: `rover_spark/jobs/load.py`.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.load", run_name="__main__")
