"""SHA-256 of the values of a column: the first half of each digest, as 32 lower-case hexadecimal digits."""

from __future__ import annotations

from binascii import hexlify
from hashlib import sha256

import numpy as np
import pyarrow as pa

from rover_spark.encode.pieces import as_binary, of_matrix

_LENGTH, _KEPT = 32, 16  # octets of a digest, and of them those that an id shows
_AT_ONCE = 2048  # few enough for Python to use the same memory again


def digests32(texts: pa.Array) -> pa.Array:
    """Of each value the first 32 digits; a binary array. No value is null."""
    values = as_binary(texts)
    found = b"".join(
        sha256(text).digest()
        for begin in range(0, len(values), _AT_ONCE)
        for text in values.slice(begin, _AT_ONCE).to_pylist()
    )
    kept = np.frombuffer(found, np.uint8).reshape(-1, _LENGTH)[:, :_KEPT]
    return of_matrix(np.frombuffer(hexlify(kept.tobytes()), np.uint8).reshape(-1, 2 * _KEPT))
