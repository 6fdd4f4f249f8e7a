"""For spark-submit: read the bucket back and hold it against the ledger. The job itself is `rover_spark/jobs/verify.py`, which the wheel holds, too.

spark-submit jobs/verify.py -c FILE [-v]
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.verify", run_name="__main__")
