"""A DuckDB file as the receiver's warehouse: one file, no server, no JVM. Needs the extra ``duckdb``.

``file`` opens it and knows its bookkeeping, ``filling`` puts rows into a table, each record once, ``warehouse`` is the port.
"""
