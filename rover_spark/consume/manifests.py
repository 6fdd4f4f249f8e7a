"""Completion manifests as a receiver reads them: their octets, bounded, and where the keys that they name begin."""

from __future__ import annotations

from rover_spark.contract.manifests import LARGEST, ManifestKey
from rover_spark.contract.rover import DATASETS
from rover_spark.store import Store, below

_PIECE = 1 << 20


def octets_of(store: Store, key: str) -> bytes:
    """The octets of a manifest; of a larger object than a manifest may be, one octet more than LARGEST.

    Raises:
        FileNotFoundError, OSError, StoreError: as ``Store.read``.
    """
    parts, left = [], LARGEST + 1
    with store.read(key) as stream:
        while left and (data := stream.read(min(left, _PIECE))):
            parts.append(data)
            left -= len(data)
    return b"".join(parts)


def place_of(where: ManifestKey) -> str:
    """Where the keys of a manifest's files begin on a disk: for Rover its root, for Currents the place beside it."""
    if where.stream in DATASETS:
        return where.root
    above, _, last = where.root.rpartition("/")
    return below(above, last.partition(".")[2])
