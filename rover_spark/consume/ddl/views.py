"""The views of a dataset, each defined once for all warehouses: one row per id, and the current state.

Promises the state of the source as far as the contract tells it. Of a row the greatest event time counts, of equal ones
the later ``emittedAt``: so a snapshot rerun repeats and changes nothing. Tombstones and deletes are applied. What was
absorbed is seen through its merges: ``canonicalRoverID`` is the profile that it is part of today.

What is read are expressions of sqlglot, so a loader may lay these views over tables of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from rover_spark.consume.ddl.merges import ABSORBED, CANONICAL, resolved
from rover_spark.consume.ddl.sql import column, first_of_each, identifier, newest, unused
from rover_spark.consume.ddl.tables import Column, Table

Read = Callable[[Column, exp.Column], exp.Expr]


def as_stored(stored: Column, found: exp.Column) -> exp.Expr:
    """A column as it is: where the raw table has the types that the views give."""
    return found


def once(table: Table, raw: exp.Table, read: Read = as_stored) -> exp.Select:
    """The records of a raw table, one row per id; a row without an id is no record."""
    names = [each.name for each in table.stored]
    rows = exp.select(
        *(read(each, column(each.name, "r")).as_(each.name, quoted=True) for each in table.stored)
    )
    rows = rows.from_(raw.as_("r", quoted=True))
    rows = rows.where(exp.Not(this=exp.Is(this=column("id", "r"), expression=exp.Null())))
    times = ("emittedAt",) if table.event_time else ()
    order = newest(*(column(each, "r") for each in (*times, table.object_key)))
    return first_of_each(names, rows, [column("id", "r")], order)


def current(
    table: Table, records: exp.Table, merges: exp.Table | None, *, recursive: bool = True
) -> exp.Select | None:
    """The current state of a dataset; None for events of Currents, whose records are their state.

    ``records`` has one row per id. ``merges`` is the current state of fan_profile_merges, None where there is none: then
    each roverID is its own canonical one.
    """
    match table.dataset:
        case "fan_profile_merges":
            return resolved(records, recursive=recursive)
        case "fan_profiles":
            return _profiles(table, records, merges)
        case "fan_identity_graph":
            return _identifiers(table, records, merges)
        case "fan_track_events":
            return _seen(table, exp.select("*").from_(records), merges)
    return None


def canonical_of(table: Table) -> str:
    """The name of the column that a view adds for the canonical roverID."""
    return unused(CANONICAL, [each.name for each in table.stored])


def _profiles(table: Table, records: exp.Table, merges: exp.Table | None) -> exp.Select:
    """One row per canonical profile: its own record, and only where it has none that of a profile that it absorbed.

    A tombstone of the survivor counts as its own record, so what it absorbed does not come back.
    """
    canonical = canonical_of(table)
    names = [*_names(table), canonical]
    own = exp.EQ(this=column("roverID", "s"), expression=column(canonical, "s"))
    order = [
        exp.Ordered(
            this=exp.Case().when(own, exp.Literal.number(0)).else_(exp.Literal.number(1)), nulls_first=True
        ),
        *_latest_first(table, "s"),
    ]
    seen = _seen(table, _latest(table, records), merges)
    found = first_of_each(names, _all(names, seen, "s"), [column(canonical, "s")], order)
    gone = exp.Coalesce(this=column("deleted"), expressions=[exp.false()])
    return found.where(exp.Not(this=gone))


def _identifiers(table: Table, records: exp.Table, merges: exp.Table | None) -> exp.Select:
    """One row per canonical profile, type and identifier, of those that were not deleted."""
    canonical = canonical_of(table)
    names = [*_names(table), canonical]
    kept = _latest(table, records).where(
        exp.NEQ(this=column("operation"), expression=exp.Literal.string("delete"))
    )
    by = [column(each, "s") for each in (canonical, "identifierType", "identifier")]
    seen = _seen(table, kept, merges)
    return first_of_each(names, _all(names, seen, "s"), by, _latest_first(table, "s"))


def _latest(table: Table, records: exp.Table) -> exp.Select:
    """The latest record of each key."""
    rows = exp.select(*(column(each, "r").as_(each, quoted=True) for each in _names(table)))
    rows = rows.from_(records.as_("r", quoted=True))
    return first_of_each(
        _names(table), rows, [column(each, "r") for each in table.key], _latest_first(table, "r")
    )


def _seen(table: Table, rows: exp.Select, merges: exp.Table | None) -> exp.Select:
    """The rows with the canonical roverID of each."""
    own = column("roverID", "n")
    canonical: exp.Expr = own
    found = exp.select(*(column(each, "n").as_(each, quoted=True) for each in _names(table)))
    found = found.from_(rows.subquery(identifier("n")))
    if merges is not None:
        canonical = exp.Coalesce(this=column(CANONICAL, "m"), expressions=[own])
        met = exp.EQ(this=column(ABSORBED, "m"), expression=own.copy())
        found = found.join(merges.as_("m", quoted=True), on=met, join_type="left")
    return found.select(canonical.as_(canonical_of(table), quoted=True))


def _all(names: Sequence[str], rows: exp.Select, alias: str) -> exp.Select:
    chosen = [column(each, alias).as_(each, quoted=True) for each in names]
    return exp.select(*chosen).from_(rows.subquery(identifier(alias)))


def _latest_first(table: Table, alias: str) -> list[exp.Expr]:
    return newest(*(column(each, alias) for each in (table.event_time, "emittedAt", "id")))


def _names(table: Table) -> list[str]:
    return [each.name for each in table.stored]
