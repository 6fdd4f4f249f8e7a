"""UUIDs of a string column: which values are one, and those in lower case."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rover_spark.encode.pieces import Mask, as_binary, octets_of, of_matrix

WIDTH = 36
_DASH, _DASHES = ord("-"), [8, 13, 18, 23]
_DIGITS = np.delete(np.arange(WIDTH), _DASHES)
_NOTHING = b"0" * WIDTH
# per octet its lower case where it is a hexadecimal digit or a dash, else 0
_LOWER = bytes(
    octet if octet in b"0123456789abcdef-" else octet + 32 if octet in b"ABCDEF" else 0
    for octet in range(256)
)


def uuids(texts: pa.Array) -> tuple[pa.Array, Mask]:
    """The values in lower case, 36 octets each, and which of them are UUIDs; the others have another text."""
    fits = pc.binary_length(texts).fill_null(0).to_numpy() == WIDTH
    values = as_binary(texts)
    if not fits.all():
        values = pc.if_else(pa.array(fits), values, pa.scalar(_NOTHING, pa.binary()))
    lower = octets_of(values).tobytes().translate(_LOWER)
    matrix = np.frombuffer(lower, np.uint8).reshape(-1, WIDTH)
    dashes = (matrix[:, _DASHES] == _DASH).all(axis=1)
    if 0 not in lower and lower.count(b"-") == len(_DASHES) * len(texts) and dashes.all():
        return of_matrix(matrix), fits
    return of_matrix(matrix), fits & dashes & (matrix[:, _DIGITS] > _DASH).all(axis=1)
