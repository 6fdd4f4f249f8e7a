"""How far delivery has come in a table's history, and from where it begins. Pure rules, for tables of any contract."""

from __future__ import annotations

from collections.abc import Iterable

from rover_spark.errors import ConfigError, SourceGap
from rover_spark.model.table import HistoryRow, TableState


def rerun_remedy(stream: str, *, accept_gap: bool) -> str:
    """What an operator does about a gap; ``accept_gap`` where no snapshot can follow it."""
    flag = " --accept-gap" if accept_gap else ""
    return f"rover-spark rerun -c FILE --dataset {stream}{flag}, then export: the ledger notes what was given up."


def check_anchor(about: str, table: str, anchor: HistoryRow, state: TableState, remedy: str) -> None:
    """Raises SourceGap unless the table's history still holds the last delivered commit, ``anchor`` (law 5).

    ``about`` says whose it is. A table made anew or copied from elsewhere has another commit at that version, or none:
    reading on would silently give the versions of another table.
    """
    delivered = anchor.version
    found = state.row(delivered)
    if found == anchor:
        return
    if state.latest.version < delivered:
        what = f"the table's newest version is {state.latest.version}: it was removed and made anew, or restored by hand"
    elif found is None:
        what = "its history does not reach back to that version: the log was cleaned"
    else:
        what = "another commit is at that version: the table was made anew, or copied from elsewhere"
    raise SourceGap(
        f"{about}: changes after version {delivered} of {table} cannot be delivered: {what}. "
        f"The ledger stays at version {delivered}",
        code="source_gap",
        remedy=remedy,
    )


def confirm(about: str, table: str, commits: tuple[HistoryRow, ...], state: TableState, remedy: str) -> None:
    """Raises SourceGap unless the table still holds the commits that a plan pinned; ``about`` is its batch."""
    if not state.holds(commits):
        raise SourceGap(
            f"{about}: the commits of {table} that it was planned from are no longer there",
            code="source_gap",
            remedy=remedy,
        )


def first_version(setting: str, start: str | int, state: TableState) -> int | None:
    """The first version whose changes count, or None where only later ones do.

    ``state`` must reach back to the version that ``start`` names. Raises ConfigError where there is none such yet.
    """
    latest = state.latest.version
    if start in {"enable", latest}:
        return None
    first = state.rows[0].version if start == "earliest" else int(start) + 1
    if first > latest:
        raise ConfigError(
            f"{setting}: version {start} is not there yet, the newest is {latest}",
            code="config_invalid",
            remedy="Name a version that exists, or leave start out.",
        )
    return first


def reach(start: str | int) -> int | None:
    """How far back a history must be known for ``start``; None: the newest version is enough."""
    return {"enable": None, "earliest": 0}.get(start) if isinstance(start, str) else start


def begin_later(starts: Iterable[str]) -> str:
    """The remedy where a first delivery reaches back to what cannot be read any more: nothing is given up then.

    ``starts`` are the settings that decide it.
    """
    return f"Begin later: set {', '.join(starts)} to the version after which all can be read."
