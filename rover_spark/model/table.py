"""The state of a source table: its commits, its properties, its place. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HistoryRow:
    """One commit of a source table: its version, its timestamp in ms since 1970, and its operation.

    ``operation`` is None where the table's log does not say it.
    """

    version: int
    timestamp: int
    operation: str | None


@dataclass(frozen=True)
class TableState:
    """The state of a source: table id, history rows in ascending order, the latest last, its properties, size and place."""

    table_id: str
    rows: tuple[HistoryRow, ...]
    properties: dict[str, str]
    bytes: int = 0
    location: str = ""

    @property
    def latest(self) -> HistoryRow:
        """The newest commit."""
        return self.rows[-1]

    def row(self, version: int) -> HistoryRow | None:
        """The commit of that version, or None where the history does not reach it."""
        return next((row for row in self.rows if row.version == version), None)

    @property
    def keeps_feed(self) -> bool:
        """Whether the table keeps a change data feed."""
        return self.properties.get("delta.enableChangeDataFeed", "").lower() == "true"

    def read_by(self, version: int) -> int:
        """The version by whose columns and features the feed reads a range that ends at ``version``.

        Delta takes the newest one, but of a table with column mapping the range's own last one.
        """
        mapped = self.properties.get("delta.columnMapping.mode", "none").lower() != "none"
        return version if mapped else self.latest.version

    def holds(self, commits: tuple[HistoryRow, ...]) -> bool:
        """Whether each of these commits is still in the history."""
        return set(commits) <= set(self.rows)
