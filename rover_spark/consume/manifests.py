"""Completion manifests as a receiver reads them: their octets, bounded, where the keys that they name begin, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rover_spark.consume.place import Place
from rover_spark.contract.manifests import LARGEST, Completion, DeliveredFile, ManifestKey
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


def files_of(place: Place, where: ManifestKey, said: Completion) -> list[tuple[str, DeliveredFile]]:
    """The files that a manifest names, each with its key at the place.

    Keys in a manifest begin at the bucket, but on a disk at the directory of its export.
    """
    above = place_of(where) if place.on_disk else ""
    return [(below(above, file.key), file) for file in said.files]


def lies_in(prefix: str, key: str) -> bool:
    """Whether an object lies below a prefix. Manifests of several exports may stand at one place."""
    return not prefix or key.startswith(f"{prefix}/")


def speaks_of(prefix: str, keys: Sequence[str]) -> bool:
    """Whether a manifest that names such keys is one of what is at a prefix: of an export below it, or around it."""
    stream = re.split("/(?:date|event_type)=", keys[0])[0]
    return lies_in(stream, f"{prefix}/") or any(lies_in(prefix, key) for key in keys)


def contradiction(where: ManifestKey, said: Completion) -> str | None:
    """How a manifest contradicts its own key, if it does."""
    if said.dataset is None:
        streams = {file.key.partition("/event_type=")[0].rpartition("/")[2] for file in said.files}
    else:
        streams = {said.dataset}
    if streams != {where.stream}:
        return f"speaks of {', '.join(sorted(streams))}, its key of {where.stream}"
    if said.emitted_at.replace(microsecond=0) != where.instant:
        return f"was emitted at {said.emitted_at:%Y-%m-%d %H:%M:%S}, its key says {where.instant:%Y-%m-%d %H:%M:%S}"
    return None
