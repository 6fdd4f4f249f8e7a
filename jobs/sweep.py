"""spark-submit entry point: remove what abandoned runs staged.

    spark-submit jobs/sweep.py -c FILE [--older-than 7d] [-v]

The job itself is in the package, and so in the wheel: `rover_spark/jobs/sweep.py`.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.sweep", run_name="__main__")
