"""The receiver's loader: new objects of a place into tables, each record once, with the current state as views.

``due`` decides which objects are to be loaded, ``look`` lists them, ``objects`` reads one strictly, ``taking`` makes rows of it,
``port`` is what a warehouse must be able to do, ``duckdb`` and ``delta`` are two, ``run`` is the order of it all.

Promises the same tables however often, in whatever order and under whatever keys the objects are loaded, also where
a run is killed: the rows of an object and the note that it was loaded are written together. One thing does depend on the order:
of two fields of an event type that differ by case alone, the first one that is loaded has the column, the other is in ``additional``.
"""
