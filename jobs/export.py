"""For spark-submit: deliver what is due. The job itself is `rover_spark/jobs/export.py`, which the wheel holds, too.

spark-submit jobs/export.py -c FILE [--dataset NAME ...] [--now ISO] [--strict] [-v]
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.export", run_name="__main__")
