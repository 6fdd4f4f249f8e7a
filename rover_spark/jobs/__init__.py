"""The commands that a cluster runs, one module each: for spark-submit, `python -m` or a scheduler's Python task.

Each prints the JSON document of ``--json`` as the last line of output, also where spark-submit mixes both streams, and
has the exit codes of the command line. None decides anything itself.
"""
