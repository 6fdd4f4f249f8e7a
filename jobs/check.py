"""For spark-submit: try, on the cluster itself, everything that delivery needs. The job itself is `rover_spark/jobs/check.py`, which the wheel holds, too.

spark-submit jobs/check.py -c FILE [-v]
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.check", run_name="__main__")
