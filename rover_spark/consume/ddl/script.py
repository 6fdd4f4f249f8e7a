"""All statements for a warehouse, in an order in which they can be run: schema, tables, loads, views.

A view stands behind those that it reads: the merges come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from rover_spark.consume.ddl.engines.port import Engine, Names, current, raw, records
from rover_spark.consume.ddl.place import Place
from rover_spark.consume.ddl.scope import Scope
from rover_spark.consume.ddl.sql import remark
from rover_spark.consume.ddl.statement import Statement
from rover_spark.consume.ddl.tables import Table
from rover_spark.consume.ddl.views import current as current_state
from rover_spark.consume.ddl.views import once
from rover_spark.errors import ConfigError

_MERGES = "fan_profile_merges"
_CURRENT = {
    "fan_profile_merges": "What each absorbed profile is part of today. In a cycle its oldest merge is left out.",
    "fan_profiles": "The profiles of today, one row per canonicalRoverID. Tombstones are applied.",
    "fan_identity_graph": "The identifiers of today, one row per canonicalRoverID and identifier. Deletes are applied.",
    "fan_track_events": "The events, seen through the merges.",
}


def statements(engine: Engine, scope: Scope) -> tuple[Statement, ...]:
    """The statements for an engine. Raises ConfigError where it cannot read the place."""
    place = _place(engine, scope.place)
    return (
        _schema(engine, scope.names),
        *(each for table in scope.tables for each in engine.filled(table, scope.names, place)),
        *(each for table in scope.tables for each in _views(engine, table, scope)),
    )


def text(engine: Engine, found: Iterable[Statement]) -> str:
    """The statements as one script, with remarks: what was tried of it, and what each part is for."""
    tried = "run for real" if engine.ran else "parsed, but never run"
    head = [
        f"For {engine.name}: made by rover-spark ddl. In the tests of rover_spark these statements are {tried}.",
        "Fill in what stands between < and >.",
        *engine.remarks,
    ]
    parts = ["\n".join(map(remark, head)) + "\n"]
    for each in found:
        remarks = "".join(f"{remark(line)}\n" for line in each.remarks)
        lines = f"{each.text};\n"
        if each.each_object:
            lines = "".join(f"{remark(line)}\n" for line in lines.splitlines())
        parts.append(remarks + lines)
    return "\n".join(parts)


def _place(engine: Engine, place: Place | None) -> Place:
    if place is None:
        return (
            Place(engine.schemes[0], "<bucket>", "<prefix>")
            if engine.schemes[0] != "file"
            else Place("file", "", "<directory>")
        )
    if place.scheme not in engine.schemes:
        raise ConfigError(
            f"{engine.name} does not read {place.scheme}:// by itself",
            code="place_invalid",
            remedy=f"Copy the objects, and name where they lie with --place: {', '.join(f'{each}://' for each in engine.schemes)}.",
        )
    return place


def _schema(engine: Engine, names: Names) -> Statement:
    *above, last = names.schema
    name = Names(tuple(above)).text(last, engine.ddl_dialect or engine.dialect)
    return Statement("", "schema", engine.create_schema.format(name=name))


def _views(engine: Engine, table: Table, scope: Scope) -> Iterator[Statement]:
    names = scope.names
    found = once(table, names.of(raw(table)), engine.read)
    yield _view(engine, table, names.of(records(table)), found, "One row per id.")
    merges = next((names.of(current(each)) for each in scope.tables if each.dataset == _MERGES), None)
    state = current_state(table, names.of(records(table)), merges, recursive=engine.recursive)
    if state is not None:
        about = [_CURRENT[table.dataset]]
        if merges is None:
            about.append("Without fan_profile_merges each roverID is its own canonical one.")
        yield _view(engine, table, names.of(current(table)), state, *about)


def _view(engine: Engine, table: Table, name: exp.Table, found: exp.Select, *remarks: str) -> Statement:
    create = exp.Create(this=name, kind="VIEW", expression=found, replace=True)
    return Statement(table.dataset, "view", create.sql(engine.dialect, pretty=True), remarks)
