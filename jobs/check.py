"""spark-submit entry point: try, on the cluster itself, everything that delivery needs.

    spark-submit jobs/check.py -c FILE [-v]

The job itself is in the package, and so in the wheel: `rover_spark/jobs/check.py`.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.check", run_name="__main__")
