"""Bytes of files, as pure functions and small state: no Spark, no store."""
