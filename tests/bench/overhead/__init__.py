"""What a run costs besides its rows, next to the code of version 0.1.0 in one run. `python -m tests.bench.overhead`."""
