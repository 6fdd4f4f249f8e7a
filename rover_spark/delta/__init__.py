"""Delta tables as sources: names, history, log, snapshot, change data feed, and what their errors mean."""
