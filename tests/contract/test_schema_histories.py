"""Random schemas and what becomes of them: what breaks nobody is read with the old schema by a reader not ours."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import fastavro
from hypothesis import assume, event, given
from hypothesis import strategies as st

from rover_spark.contract.avro import canonical, changes, fingerprint, parse

Tree = Any
ID, TIME = {"name": "id", "type": "string"}, {"name": "time", "type": "int"}
PLAIN = ("boolean", "int", "long", "float", "double", "string", "bytes")
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
PROMOTED = {"int": "long", "long": "double", "float": "double", "string": "bytes", "bytes": "string"}


def record(name: str, *fields: Tree) -> Tree:
    return {"type": "record", "name": name, "fields": list(fields)}


class Names:
    """Names that no two types or fields of one example share; ``known`` are types that may be referred to."""

    def __init__(self) -> None:
        self.count = 0
        self.known: list[str] = []

    def new(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"


@st.composite
def types(draw: st.DrawFn, names: Names, depth: int) -> Tree:
    inner = ("record", "enum", "fixed", "array", "map", "nullable", "union") if depth else ("enum", "fixed")
    kind = draw(st.sampled_from((*PLAIN, "decimal", "again", *inner)))
    match kind:
        case "decimal":
            return DECIMAL
        case "again":
            return draw(st.sampled_from(names.known)) if names.known else "int"
        case "record":
            tree = record(names.new("ns.R"), *draw(fields(names, depth - 1)))
            names.known.append(tree["name"])
            return tree
        case "enum":
            symbols = [names.new("S") for _ in range(draw(st.integers(1, 4)))]
            return {"type": "enum", "name": names.new("ns.E"), "symbols": symbols}
        case "fixed":
            return {"type": "fixed", "name": names.new("ns.F"), "size": draw(st.integers(0, 3))}
        case "array":
            return {"type": "array", "items": draw(types(names, depth - 1))}
        case "map":
            return {"type": "map", "values": draw(types(names, depth - 1))}
        case "nullable":
            inner = draw(types(names, depth - 1))
            return inner if isinstance(inner, list) else draw(st.permutations(["null", inner]))
        case (
            "union"
        ):  # string and bytes, or two numbers, would be one to a reader that takes the first that fits
            more = [record(names.new("ns.R"), *draw(fields(names, depth - 1))) for _ in range(2)]
            return draw(st.permutations(["null", "boolean", "string", "long", *more]))
        case _:
            return kind


@st.composite
def fields(draw: st.DrawFn, names: Names, depth: int) -> list[Tree]:
    return [
        {"name": names.new("f"), "type": draw(types(names, depth))} for _ in range(draw(st.integers(0, 4)))
    ]


@st.composite
def evolved(draw: st.DrawFn, tree: Tree, names: Names, gentle: bool) -> Tree:
    """The type some releases later: ``gentle`` does only what should break nobody."""
    kind = tree["type"] if isinstance(tree, dict) else "union" if isinstance(tree, list) else tree
    if not gentle and draw(st.integers(0, 9)) == 0:
        return draw(
            st.sampled_from(
                [["null", tree], PROMOTED.get(kind, "int"), "string", {"type": "array", "items": tree}]
            )
        )
    match kind:
        case "record":
            members = [
                {**each, "type": draw(evolved(each["type"], names, gentle))} for each in tree["fields"]
            ]
            if not gentle and draw(st.booleans()):
                members = [each for each in members if draw(st.integers(0, 4)) or each in (ID, TIME)]
                members += draw(fields(names, 0))
            if not gentle and draw(st.integers(0, 4)) == 0:
                members = [
                    {**each, "name": names.new("f")} if each not in (ID, TIME) else each for each in members
                ]
            for _ in range(draw(st.integers(0, 2))):
                more = {
                    "name": names.new("f"),
                    "type": ["null", draw(st.sampled_from(PLAIN))],
                    "default": None,
                }
                members.insert(draw(st.integers(0, len(members))), more)
            if draw(st.integers(0, 3)) == 0 and not names.known:
                members = draw(st.permutations(members))
            return {**tree, "doc": "later", "fields": members}
        case "enum":
            symbols = draw(st.permutations(tree["symbols"]))
            kept = symbols[: draw(st.integers(1, len(symbols)))]
            return {
                **tree,
                "symbols": [*kept, names.new("S")] if not gentle and draw(st.booleans()) else kept,
            }
        case "array":
            return {**tree, "items": draw(evolved(tree["items"], names, gentle))}
        case "map":
            return {**tree, "values": draw(evolved(tree["values"], names, gentle))}
        case "union":
            branches = [
                each if isinstance(each, str) else draw(evolved(each, names, gentle)) for each in tree
            ]
            return (
                draw(st.permutations(branches)) if gentle or draw(st.booleans()) else branches[1:] or ["int"]
            )
        case _:
            return tree


def defined(tree: Tree, known: dict[str, Tree]) -> dict[str, Tree]:
    """Every named type of a schema."""
    for part in tree if isinstance(tree, list) else []:
        defined(part, known)
    if isinstance(tree, dict):
        known |= {tree["name"]: tree} if "name" in tree else {}
        for part in [
            *(each["type"] for each in tree.get("fields", ())),
            tree.get("items"),
            tree.get("values"),
        ]:
            defined(part, known)
    return known


@st.composite
def values(draw: st.DrawFn, tree: Tree, known: dict[str, Tree]) -> Any:
    """A value of the type, as fastavro writes it."""
    tree = known.get(tree, tree) if isinstance(tree, str) else tree
    if tree == DECIMAL:
        return Decimal(draw(st.integers(-999_999, 999_999))).scaleb(-2)
    if isinstance(tree, list):
        part = draw(
            st.sampled_from([known.get(each, each) if isinstance(each, str) else each for each in tree])
        )
        found = draw(values(part, known))
        return (part["name"], found) if isinstance(part, dict) and part["type"] == "record" else found
    match tree["type"] if isinstance(tree, dict) else tree:
        case "null":
            return None
        case "boolean":
            return draw(st.booleans())
        case "int":
            return draw(st.integers(-(2**31), 2**31 - 1))
        case "long":
            return draw(st.integers(-(2**63), 2**63 - 1))
        case "float":
            return draw(st.floats(width=32, allow_nan=False))
        case "double":
            return draw(st.floats(allow_nan=False))
        case "string":
            return draw(st.text(max_size=3))
        case "bytes":
            return draw(st.binary(max_size=3))
        case "fixed":
            return draw(st.binary(min_size=tree["size"], max_size=tree["size"]))
        case "enum":
            return draw(st.sampled_from(tree["symbols"]))
        case "array":
            return draw(st.lists(values(tree["items"], known), max_size=2))
        case "map":
            return draw(st.dictionaries(st.text(max_size=2), values(tree["values"], known), max_size=2))
        case _:
            return {each["name"]: draw(values(each["type"], known)) for each in tree["fields"]}


def seen(tree: Tree, value: Any, known: dict[str, Tree]) -> Any:
    """What a reader with an older schema is to see of a value: every field it knows, and none besides."""
    tree = known.get(tree, tree) if isinstance(tree, str) else tree
    if isinstance(tree, list):
        if not isinstance(value, tuple):
            return value
        tree, value = known[value[0]], value[1]
    match tree["type"] if isinstance(tree, dict) else tree:
        case "record":
            return {each["name"]: seen(each["type"], value[each["name"]], known) for each in tree["fields"]}
        case "array":
            return [seen(tree["items"], each, known) for each in value]
        case "map":
            return {name: seen(tree["values"], each, known) for name, each in value.items()}
        case _:
            return value


@st.composite
def histories(draw: st.DrawFn) -> tuple[Tree, Tree]:
    """A schema, and the same schema later."""
    names = Names()
    old = record("ns.Event", ID, TIME, *draw(fields(names, 2)))
    return old, draw(evolved(old, names, draw(st.booleans())))


@given(histories(), st.data())
def test_what_breaks_nobody_is_read_whole_with_the_old_schema(
    history: tuple[Tree, Tree], data: st.DataObject
) -> None:
    old, new = history
    try:
        found = changes(parse(old), parse(new))
    except ValueError:  # a reference whose definition went, or moved behind it
        assume(False)
    breaking = any(each.breaking for each in found)
    event("breaking" if breaking else "not breaking" if found else "no change")
    if breaking:
        return
    written = [data.draw(values(new, defined(new, {}))) for _ in range(2)]
    file = io.BytesIO()
    fastavro.writer(file, json.loads(canonical(parse(new))), written)
    file.seek(0)
    read = list(fastavro.reader(file, json.loads(canonical(parse(old)))))
    assert read == [seen(old, each, defined(old, {})) for each in written]


@given(histories())
def test_texts_differ_where_changes_can_be_named_and_nowhere_else(history: tuple[Tree, Tree]) -> None:
    try:
        old, new = map(parse, history)
    except ValueError:
        assume(False)
    before, after = canonical(old), canonical(new)
    assert (before == after) == (fingerprint(before) == fingerprint(after)) == (not changes(old, new))
    assert parse(after) == new
    assert canonical(parse(after)) == after
    fastavro.parse_schema(json.loads(after))
