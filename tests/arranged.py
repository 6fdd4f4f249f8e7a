"""The columns in which staging takes rows, as ``records.arranged`` gives them."""

from __future__ import annotations

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("chunk", pa.int32()),
        ("outcome", pa.string()),
        ("floor", pa.bool_()),
        ("mended", pa.bool_()),
        ("id", pa.string()),
        ("line", pa.string()),
    ]
)
