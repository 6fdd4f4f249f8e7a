"""What changed between two schemas: each change by its name, its place and whether it breaks readers."""

from __future__ import annotations

from typing import Any

import pytest

from rover_spark.contract.avro import changes, parse

Tree = Any
ID, TIME = {"name": "id", "type": "string"}, {"name": "time", "type": "int"}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
FIXED = {"type": "fixed", "name": "F", "size": 2}


def record(*fields: Tree, name: str = "Event", **other: Tree) -> dict[str, Tree]:
    return {"type": "record", "name": name, **other, "fields": list(fields)}


POINT = record({"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 2}, name="Point")


def typed(kind: Tree, **other: Tree) -> dict[str, Tree]:
    """An event with one more field, `x`."""
    return record(ID, TIME, {"name": "x", "type": kind, **other})


def optional(kind: Tree, name: str = "x") -> dict[str, Tree]:
    return {"name": name, "type": ["null", kind], "default": None}


def array(kind: Tree) -> dict[str, Tree]:
    return {"type": "array", "items": kind}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (typed("int"), typed("int", doc="more"), []),
        (record(ID, TIME), record(optional("int"), ID, TIME), [("added optional", "x", False)]),
        (record(ID, TIME), typed("int", default=0), [("added required", "x", True)]),
        (record(ID, TIME), typed(["null", "int"]), [("added required", "x", True)]),
        (record(ID, TIME), typed(["int", "null"], default=0), [("added required", "x", True)]),
        (record(ID, TIME), typed("null", default=None), [("added required", "x", True)]),
        (record(ID, TIME, optional("int")), record(ID, TIME), [("removed", "x", True)]),
        (typed("int"), record(ID, TIME, {"name": "y", "type": "int"}), [("renamed", "x", True)]),
        (
            typed("int"),
            record(ID, TIME, {"name": "y", "type": "long"}),
            [("removed", "x", True), ("added required", "y", True)],
        ),
        (
            typed("int"),
            record(ID, {"name": "y", "type": "int"}, TIME),
            [("removed", "x", True), ("added required", "y", True)],
        ),
        (
            typed("int"),
            record(ID, TIME, {"name": "y", "type": "int"}, optional("int", "z")),
            [("removed", "x", True), ("added required", "y", True), ("added optional", "z", False)],
        ),
        (
            record(ID, TIME, optional("int")),
            record(ID, TIME, {"name": "y", "type": ["null", "int"]}),
            [("renamed", "x", True), ("default changed", "x", False)],
        ),
        (record(ID, TIME), record(TIME, ID), [("reordered", "", False)]),
        (record(ID, TIME), record(ID, TIME, name="Other"), [("renamed", "", True)]),
        (record(ID, TIME), record(ID, TIME, namespace="a"), [("renamed", "", True)]),
        (typed("int"), typed("string"), [("retyped", "x", True)]),
        (typed("long"), typed("int"), [("retyped", "x", True)]),
        (typed("int"), typed("long"), [("promoted", "x", True)]),
        (typed("string"), typed("bytes"), [("promoted", "x", True)]),
        (typed("int"), typed({"type": "long", "logicalType": "time-micros"}), [("retyped", "x", True)]),
        (typed("int"), typed({"type": "int", "logicalType": "date"}), [("retyped", "x", True)]),
        (typed("int"), typed(["null", "int"]), [("made optional", "x", True)]),
        (typed("int"), typed(["long", "null"]), [("made optional", "x", True), ("promoted", "x", True)]),
        (typed("int"), typed(["null", "int", "string"]), [("retyped", "x", True)]),
        (typed("int"), typed(["int"]), [("retyped", "x", True)]),
        (typed("null"), typed(["null", "int"]), [("retyped", "x", True)]),
        (typed(["null", "int"]), typed("int"), [("retyped", "x", True)]),
        (typed(["null", "int"]), typed(["null", "long"]), [("promoted", "x", True)]),
        (typed(["null", "int"]), typed(["int", "string"]), [("retyped", "x", True)]),
        (typed(["null", "int"]), typed(["int", "null"]), [("reordered", "x", False)]),
        (typed(["int", "string", "null"]), typed(["int", "null"]), [("retyped", "x", True)]),
        (typed("int", default=1), typed("int", default=2), [("default changed", "x", False)]),
        (typed("int"), typed("int", default=2), [("default changed", "x", False)]),
        (typed("double", default=1), typed("double", default=1.0), []),
        (typed(ENUM), typed({**ENUM, "symbols": ["B", "A", "C"]}), [("enum symbols", "x", True)]),
        (typed(ENUM), typed({**ENUM, "symbols": ["A", "C"]}), [("enum symbols", "x", True)]),
        (typed(ENUM), typed({**ENUM, "symbols": ["B"]}), [("enum symbols", "x", False)]),
        (typed(ENUM), typed({**ENUM, "symbols": ["B", "A"]}), [("enum symbols", "x", False)]),
        (typed(ENUM), typed({**ENUM, "default": "A"}), [("default changed", "x", False)]),
        (typed(ENUM), typed({**ENUM, "name": "G"}), [("renamed", "x", True)]),
        (typed(FIXED), typed({**FIXED, "size": 3}), [("retyped", "x", True)]),
        (
            typed({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1}),
            typed({"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 1}),
            [("retyped", "x", True)],
        ),
        (typed(array(array("int"))), typed(array(array("long"))), [("promoted", "x[][]", True)]),
        (
            typed({"type": "map", "values": ["null", POINT]}),
            typed(
                {"type": "map", "values": ["null", {**POINT, "fields": [*POINT["fields"], optional("int")]}]}
            ),
            [("added optional", "x{}.x", False)],
        ),
        (
            typed(["null", POINT, ENUM]),
            typed(["null", {**POINT, "fields": POINT["fields"][::-1]}, {**ENUM, "symbols": ["A", "C"]}]),
            [("reordered", "x(Point)", False), ("enum symbols", "x(E)", True)],
        ),
        (
            typed(["null", POINT, "int"]),
            typed(["int", "null", {**POINT, "name": "Place"}]),
            [("renamed", "x(Point)", True), ("reordered", "x", False)],
        ),
    ],
    ids=lambda value: str(value)[-60:] if isinstance(value, list) else "",
)
def test_each_change_is_named_with_its_place(
    old: Tree, new: Tree, found: list[tuple[str, str, bool]]
) -> None:
    told = changes(parse(old), parse(new))
    assert [(each.kind, each.path, each.breaking) for each in told] == found


def test_a_change_is_told_in_one_sentence() -> None:
    old = record(ID, TIME, {"name": "x", "type": record({"name": "old", "type": "int"}, name="R")})
    new = record(
        TIME,
        ID,
        {"name": "x", "type": record({"name": "new", "type": "int"}, name="S")},
        optional("bytes", "y"),
    )
    assert [each.text for each in changes(parse(old), parse(new))] == [
        "field x: record R is now named record S",
        "field x.old: old is now named new",
        "field y was added as [null, bytes], null by default",
        "the order in the event changed from id, time, x to time, id, x",
    ]
    cases = [
        (typed("int"), typed(["null", "int"]), "field x was int and may now be null"),
        (typed("int"), typed("long"), "field x was promoted from int to long"),
        (typed(ENUM), typed(FIXED), "field x was changed from enum E to fixed F of 2 octets"),
        (typed(array("int")), record(ID, TIME), "field x was removed; it was array of int"),
        (typed("int"), typed("int", default=0), "the default of field x changed from none to 0"),
        (typed(ENUM), typed({**ENUM, "symbols": ["A"]}), "the symbols of field x changed from A, B to A"),
        (
            record(ID, TIME),
            typed({"type": "bytes", "logicalType": "decimal", "precision": 4}),
            "field x was added as bytes (decimal 4, 0): it must be a union with null and have the default null",
        ),
    ]
    for before, after, text in cases:
        assert [each.text for each in changes(parse(before), parse(after))] == [text]
