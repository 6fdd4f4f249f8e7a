"""A table's columns as Spark reads them: the log's schema without the ``delta.`` metadata of its fields. Pure."""

from __future__ import annotations

from typing import Any

_DELTAS = "delta."
_TEXT = "__CHAR_VARCHAR_TYPE_STRING"  # the type of a column that holds CHAR or VARCHAR, in Spark's words


def as_read(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the rows that Spark reads, from that of the log."""
    return {**schema, "fields": [_column(each) for each in schema["fields"]]}


def _column(field: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        name: value for name, value in (field.get("metadata") or {}).items() if not name.startswith(_DELTAS)
    }
    dtype = _type(field["type"], bare=_TEXT in metadata)
    return {**field, "type": dtype, "metadata": metadata}


def _type(dtype: Any, *, bare: bool) -> Any:
    """``bare`` leaves out all metadata of fields: Spark makes the type of such a column anew."""
    if not isinstance(dtype, dict):
        return dtype
    if dtype["type"] == "struct":
        fields = [_column(each) for each in dtype["fields"]]
        if bare:
            fields = [{**each, "type": _type(each["type"], bare=True), "metadata": {}} for each in fields]
        return {**dtype, "fields": fields}
    inner = ("elementType", "keyType", "valueType")
    return {name: _type(value, bare=bare) if name in inner else value for name, value in dtype.items()}
