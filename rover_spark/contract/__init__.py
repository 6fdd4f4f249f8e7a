"""The published contracts as values and pure functions: no Spark, no store, no clock."""
