"""Delta tables as the receiver's warehouse, loaded by Spark. Needs pyspark and Delta.

``place`` says where the tables stand, ``tables`` makes and widens them, ``reading`` is what the tasks do, ``merging`` keeps each
record once, ``books`` is the bookkeeping, ``warehouse`` is the port; ``views`` shows the current state, ``stream`` is the same
as a streaming query.
"""
