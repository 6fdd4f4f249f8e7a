"""Delta tables as sources: their logs by two engines, rows of a snapshot or a feed, the Spark session, and what engine errors mean."""
