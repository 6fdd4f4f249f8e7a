"""Looks into the bucket before a ledger's first batch of a stream: does it hold files that this export delivered?

A lost ledger, or one whose path has a typo, looks like a new one: the export would begin anew, and receivers would get
everything a second time. So, where the ledger knows no batch of a stream and the role may list, the stream's folder is
listed first. A file of this export there stops the run until the operator adopts it. The look costs nothing once a
stream has a batch, and one request where the folder is empty.

The contract's Owner defines what adopting means. This module lists and decides; it writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rover_spark.config.settings import Settings
from rover_spark.errors import ConfigError, Problem
from rover_spark.model.dataset_state import DatasetState
from rover_spark.produce.port import Earlier, Owner, Producer
from rover_spark.store import Store, below


@dataclass
class Adoption:
    """Checks the bucket before a stream's first batch. ``adopt`` is the operator's consent to start a new ledger over
    existing files; ``adopted`` holds one file of each stream.
    """

    store: Store
    settings: Settings
    owner: Owner
    adopt: bool = False
    adopted: list[Earlier] = field(default_factory=list)

    def look(self, stream: str, dataset_state: DatasetState, producer: Producer | None = None) -> None:
        """Raises ConfigError where the bucket holds files of the stream, the ledger no batch, and nobody adopted them.

        ``producer`` keeps clear of the keys that are adopted.
        """
        if not self.store.can_read:
            return
        found = self.owner.earlier(self.store, stream, dataset_state)
        if found is None:
            return
        if not self.adopt:
            raise _refused(self.settings, found)
        self.adopted.append(found)
        if producer is not None:
            root = below(self.store.prefix, self.settings.receives, "")
            producer.keep_clear(each.key for each in self.store.listing(root))

    @property
    def notices(self) -> list[Problem]:
        """What receivers must know of a ledger that began anew."""
        return [_began_anew(each, self.owner.adopted) for each in self.adopted]


def _began_anew(found: Earlier, words: tuple[str, str]) -> Problem:
    happens, remedy = words
    return Problem(
        "ledger_adopted",
        f"{found.about} began anew: {found.message}, which this ledger does not know. {happens}",
        f"{remedy.format(about=found.about)} `verify` reports the earlier files as foreign until you move them.",
    )


def _refused(settings: Settings, found: Earlier) -> ConfigError:
    return ConfigError(
        f"ledger: {settings.ledger} knows no batch of {found.about}, but {settings.destination} holds what was delivered: "
        f"{found.message}. Nothing was delivered by this run",
        code="ledger_unaware",
        remedy="Name the ledger that delivered them, or bring it back from a backup. Only if it is lost for good, begin "
        "anew: rover-spark export -c FILE --adopt-empty-ledger",
    )
