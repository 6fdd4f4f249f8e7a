"""spark-submit entry point: read the bucket back and hold it against the ledger.

    spark-submit jobs/verify.py -c FILE [-v]

The job itself is in the package, and so in the wheel: `rover_spark/jobs/verify.py`.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("rover_spark.jobs.verify", run_name="__main__")
