"""What a run costs the driver for each chunk. `python -m tests.bench.scale`."""
