"""The commands that a cluster runs, one module each: for spark-submit, for `python -m`, for a scheduler's Python task.

Promises the JSON document of ``--json`` as the last line of output, where spark-submit mixes both streams, and the exit
codes of the command line. Decides nothing itself.
"""
