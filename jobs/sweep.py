"""For spark-submit: remove what abandoned runs staged. The job itself is `rover_spark/jobs/sweep.py`, which the wheel holds, too.

spark-submit jobs/sweep.py -c FILE [--older-than 7d] [-v]
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.sweep", run_name="__main__")
