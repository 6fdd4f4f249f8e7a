"""The receiver's commands. They load no Spark: a receiver may have none."""
