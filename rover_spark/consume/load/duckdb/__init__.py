"""A DuckDB file as the receiver's warehouse: one file, no server, no JVM. Needs the extra ``duckdb``.

``file`` opens it and knows its bookkeeping, ``lines`` and ``events`` make Arrow columns of what an object holds,
``filling`` puts them into a table, each record once, ``warehouse`` is the port.
"""
