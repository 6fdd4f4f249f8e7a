"""spark-submit entry point: deliver what is due.

    spark-submit jobs/export.py -c FILE [--dataset NAME ...] [--now ISO] [--strict] [-v]

The job itself is in the package, and so in the wheel: `rover_spark/jobs/export.py`.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.export", run_name="__main__")
