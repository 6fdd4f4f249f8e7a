"""The Rover Data Export contract: four datasets, a snapshot and then a change stream."""
