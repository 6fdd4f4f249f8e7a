"""Delta tables as sources: SQL names, history and log, rows of a snapshot or a feed, and what engine errors mean."""
