"""Whose is a Rover file: this export's, where its token is that of a batch of this export and dataset.

Another export may deliver into the same folder; its tokens differ because its name does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, islice, product

from rover_spark.config.settings import Settings
from rover_spark.contract.keys import EXPORTS, file_token, parse_rover_key
from rover_spark.contract.manifests import manifest_of, parse_key
from rover_spark.model.dataset_state import DatasetState
from rover_spark.produce.port import LOOKED_AT, Earlier
from rover_spark.store import Store, below, prefix_of

# Batches and epochs whose files are looked for, the likely ones first; older files may be gone by a lifecycle rule.
_FEW, _MANY, _RERUN_OFTEN = range(1, 51), range(1, 50_001), range(1, 2_001)
_EPOCHS, _LATER_EPOCHS = range(1, 4), range(4, 51)
_EARLY = range(1, 1_001)


def owner(settings: Settings) -> RoverOwner:
    """The owner of this export's files."""
    manifests = prefix_of(settings.manifests_at or settings.destination)
    return RoverOwner(settings.name, prefix_of(settings.destination), manifests)


class RoverOwner:
    """Recognises the files of the export ``export`` below ``prefix``, and its manifests below ``manifests``."""

    reads_all = False
    adopted = (
        "Records that did not change have the ids they had; what was deleted in between is not delivered",
        "Tell receivers to empty {about} before they load this run's files.",
    )

    def __init__(self, export: str, prefix: str, manifests: str = "") -> None:
        self._export, self._prefix, self._manifests = export, prefix, manifests
        self._early = cache(lambda dataset: tokens(export, dataset, _EARLY))

    def batch_of(self, key: str) -> str | None:
        """One of the first thousand batches, by the token."""
        parts = parse_rover_key(key)
        return self._early(parts.dataset).get(parts.token) if parts else None

    def planned(self, key: str, instants: set[tuple[str, int]]) -> bool:
        """By dataset and instant: another export may deliver below this prefix, in the same second."""
        if (manifest := parse_key(manifest_of(key))) is not None:
            here = manifest.root == self._manifests
            return here and (manifest.stream, int(manifest.instant.timestamp())) in instants
        parts = parse_rover_key(key)
        if parts is None or parts.prefix != self._prefix:
            return False
        return (parts.dataset, int(parts.instant.timestamp())) in instants

    def earlier(self, store: Store, stream: str, dataset_state: DatasetState) -> Earlier | None:
        """A file of the dataset, where the ledger has no batch of it."""
        if dataset_state.last is not None or dataset_state.open is not None:
            return None
        folder = below(store.prefix, EXPORTS, stream, "")
        keys = (each.key for each in islice(store.listing(folder), LOOKED_AT))
        return self._of_dataset(stream, keys)

    def _of_dataset(self, dataset: str, keys: Iterable[str]) -> Earlier | None:
        early = tokens(self._export, dataset, _FEW)
        seen: dict[str, str] = {}
        for key in keys:
            parts = parse_rover_key(key)
            if parts is None or parts.prefix != self._prefix or parts.dataset != dataset:
                continue
            if parts.token in early:
                return Earlier(dataset, key, early[parts.token])
            seen[parts.token] = key
        if not seen:
            return None
        likely = _tokens(self._export, dataset, _MANY, _EPOCHS, chunks=1)
        rerun = _tokens(self._export, dataset, _RERUN_OFTEN, _LATER_EPOCHS, chunks=1)
        found = ((seen[token], batch) for token, batch in chain(likely, rerun) if token in seen)
        return next((Earlier(dataset, key, batch) for key, batch in found), None)


def tokens(export: str, dataset: str, batches: Iterable[int]) -> dict[str, str]:
    """Token → batch of the first files of these batches: what a key of this export and dataset may carry."""
    return dict(_tokens(export, dataset, batches, _EPOCHS, chunks=4))


def _tokens(
    export: str, dataset: str, batches: Iterable[int], epochs: Iterable[int], *, chunks: int
) -> Iterator[tuple[str, str]]:
    for seq, epoch, chunk in product(batches, epochs, range(chunks)):
        if epoch <= seq:  # each epoch takes at least one batch
            batch = f"{dataset}.{epoch}.{seq}"
            yield file_token(export, epoch, dataset, batch, chunk, 0), batch
