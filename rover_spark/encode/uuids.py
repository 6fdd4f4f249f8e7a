"""UUIDs of a string column: which values are one, and those in lower case."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.encode.pieces import Mask, as_binary, octets_of, of_matrix

WIDTH = 36
_DASH = ord("-")
_DASHES = np.isin(np.arange(WIDTH), [8, 13, 18, 23])
_NOTHING = b"0" * WIDTH
# per octet its lower case where it is a hexadecimal digit or a dash, else 0
_LOWER = np.zeros(256, np.uint8)
for _octet in b"0123456789abcdefABCDEF-":
    _LOWER[_octet] = bytes([_octet]).lower()[0]


def uuids(texts: pa.Array) -> tuple[pa.Array, Mask]:
    """The values in lower case, 36 octets each, and which of them are UUIDs; the others have another text."""
    fits = pc.binary_length(texts).fill_null(0).to_numpy() == WIDTH
    values = as_binary(texts)
    if not fits.all():
        values = pc.if_else(pa.array(fits), values, pa.scalar(_NOTHING, pa.binary()))
    matrix = _LOWER[octets_of(values)].reshape(-1, WIDTH)
    right = ((matrix == _DASH) == _DASHES) & (matrix > 0)
    return of_matrix(matrix), fits if right.all() else fits & right.all(axis=1)
