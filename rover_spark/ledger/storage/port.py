"""What the ledger asks of the table that holds it: to be found or made, commits, and rows. Two engines have these methods.

Neither knows what a transition is, or a batch. Reads are of the newest version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rover_spark.delta.storage import Reached

Row = dict[str, Any]
LOOKED_AT = 100  # newest commits among which a driver looks for its own: others commit meanwhile
PROPERTIES = {"delta.checkpointInterval": "50", "delta.dataSkippingNumIndexedCols": "0"}


class Storage(Protocol):
    """The table of a ledger. Safe in threads."""

    compact_every: int  # transitions of a dataset between two compactions

    @property
    def place(self) -> Reached | None:
        """Where ``deltalake`` reaches it; None where Spark serves it."""

    @property
    def lock(self) -> Path | None:
        """The file that drivers lock while they write, where the table is a directory of this machine."""

    def properties(self) -> Mapping[str, str] | None:
        """The table's properties; None where there is no table.

        Raises:
            ConfigError: it cannot be made here either.
        """

    def create(self) -> None:
        """Makes the table, unless another driver just did."""

    def take(self, rows: Iterable[Row], app: str, number: int) -> bool:
        """Commits the rows under transaction ``number`` of ``app``; False where another commit holds that number.

        Where an answer was lost, it looks whether the commit is there.
        """

    def append(self, rows: Iterable[Row]) -> bool:
        """Commits rows that no other driver competes for; False where the commit failed or its answer was lost."""

    def rows(
        self,
        columns: Sequence[str],
        export: str,
        kinds: Sequence[str],
        *,
        named: Collection[str] = (),
        having: str = "",
    ) -> list[Row]:
        """Columns of an export's rows of these kinds.

        With ``named`` only those whose ``batch`` or ``key`` is among them, with ``having`` those where that column is
        not null.
        """

    def compact(self) -> None:
        """Makes few files of many. What cannot be done now, the next compaction does; removed files stay where they are."""
