"""Avro schemas of events: what is refused and where, and the one text of each."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest

from rover_spark.contract.avro import MAX_LEVELS, canonical, changes, fingerprint, parse, registered_tree

ID, TIME = {"name": "id", "type": "string"}, {"name": "time", "type": "int"}
Tree = Any


def record(*fields: Tree, name: str = "Event", **other: Tree) -> dict[str, Tree]:
    return {"type": "record", "name": name, **other, "fields": list(fields)}


def typed(kind: Tree, **other: Tree) -> dict[str, Tree]:
    """An event with one more field, `x`."""
    return record(ID, TIME, {"name": "x", "type": kind, **other})


def nested(levels: int, kind: Tree = "int") -> Tree:
    for _ in range(levels):
        kind = {"type": "array", "items": kind}
    return kind


ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
FIXED = {"type": "fixed", "name": "F", "size": 2}
POINT = record({"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 2}, name="Point")
DEEP = {"name": "y", "type": record({"name": "y", "type": nested(20)}, name="Deep")}
BOMB = [  # each of eight times the one before: 300,000 columns in six lines
    {"name": f"f{n}", "type": record(*({"name": c, "type": inner} for c in "abcdefgh"), name=f"R{n}")}
    for n, inner in enumerate(["int", "R0", "R1", "R2", "R3", "R4"])
]


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"type": "record", "type": "record"}', "not JSON: .* twice"),
        (json.dumps(typed("double", default=float("nan"))), "not JSON: NaN"),
        ('"string"', "not that of a record"),
        ("[]", "not that of a record"),
        (json.dumps(ENUM), "not that of a record"),
        (record(TIME), "no field 'id'"),
        (record(ID), "no field 'time'"),
        (record({"name": "id", "type": ["null", "string"]}, TIME), "field id: must be string"),
        (record({"name": "id", "type": "bytes"}, TIME), "field id: must be string, not bytes"),
        (record(ID, {"name": "time", "type": "double"}), "field time: must be int or long, not double"),
        (
            record(ID, {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}}),
            "field time: counts seconds",
        ),
        ({"type": "record", "fields": [ID, TIME]}, "the record: record without a name"),
        (record(ID, TIME, name="a-b"), "no type can be named 'a-b'"),
        (record(ID, TIME, name="a..b"), "no type can be named"),
        (record(ID, TIME, name="a\n"), "no type can be named"),
        (record(ID, TIME, name="int"), "no type can be named 'int'"),
        (record(ID, TIME, namespace="a.1"), "no type can be named 'a.1.Event'"),
        (record(ID, TIME, namespace=None), "its name or namespace is no text"),
        ({"type": "record", "name": "Event"}, "record without a list of fields"),
        (record(ID, TIME, "x"), "field 3 cannot be named None"),
        (record(ID, TIME, {"name": "ü", "type": "int"}), "field 3 cannot be named 'ü'"),
        (record(ID, TIME, TIME), "field time: two fields have this name"),
        (record(ID, TIME, {"name": "x"}), "field x: None is no type"),
        (typed("strin"), "field x: unknown type 'strin'"),
        (typed("array"), "field x: unknown type 'array'"),
        (typed("Event"), "field x: Event contains itself"),
        (typed({"type": "array", "items": ["null", "Event"]}), r"field x\[\]: Event contains itself"),
        (typed({"type": {"type": "int"}}), "field x: of type dict is no type"),
        (typed({"type": "array"}), "field x: array without items"),
        (typed({"type": "map", "items": "int"}), "field x: map without values"),
        (
            typed({"type": "array", "items": {"type": "map", "values": "no"}}),
            r"field x\[\]\{\}: unknown type",
        ),
        (typed([]), "field x: a union without branches"),
        (typed(["int", ["null", "string"]]), "field x: a union directly inside a union"),
        (typed(["int", "int"]), "field x: int occurs twice"),
        (typed(["string", {"type": "string", "logicalType": "uuid"}]), "field x: string occurs twice"),
        (typed([nested(1), nested(2)]), "field x: array occurs twice"),
        (typed([ENUM, "E"]), "field x: E occurs twice"),
        (
            typed(record({"name": "y", "type": ENUM}, {"name": "z", "type": ENUM}, name="R")),
            "field x.z: E is defined twice",
        ),
        (typed({**ENUM, "symbols": "AB"}), "field x: enum without a list of symbols"),
        (typed({**ENUM, "symbols": ["A", "A"]}), "field x: two symbols are named A"),
        (typed({**ENUM, "symbols": ["A", "B-C"]}), "field x: no symbol can be named 'B-C'"),
        (typed({**ENUM, "default": "C"}), "field x: the default 'C' is none of the symbols"),
        (typed({**FIXED, "size": -1}), "field x: a fixed type cannot have the size -1"),
        (typed({**FIXED, "size": True}), "cannot have the size True"),
        (typed({**FIXED, "size": 10**400}), "cannot have the size 1000"),
        (typed(nested(MAX_LEVELS)), "nested more than 32 levels deep"),
        (
            record(ID, TIME, DEEP, {"name": "z", "type": nested(11, "Deep")}),
            r"z(\[\])*: nested more than 32 levels",
        ),
        (record(ID, TIME, *BOMB), "made of over 10,000 types"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_schema_of_an_event_is_refused_with_its_place(source: Tree, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        parse(source)
    assert len(str(refused.value)) < 250


def test_a_tree_of_any_depth_is_refused_before_the_stack_ends() -> None:
    for kind in (nested(100_000), nested(100_000, ["null", "int"])):
        with pytest.raises(ValueError, match="nested more than 32 levels deep"):
            parse(typed(kind))
    parse(typed(nested(MAX_LEVELS - 2)))


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("null", 0),
        ("boolean", 0),
        ("int", 2**31),
        ("int", -(2**31) - 1),
        ("int", 1.0),
        ("int", True),
        ("long", 2**63),
        ("float", 3.5e38),
        ("float", "1"),
        ("double", 10**400),
        ("double", True),
        ("string", None),
        ("string", "\ud800"),
        ("bytes", "\u0100"),
        ("bytes", [1]),
        (FIXED, "abc"),
        (FIXED, "a\u0100"),
        (ENUM, "C"),
        (nested(1), [1, "2"]),
        (nested(1), {}),
        ({"type": "map", "values": "int"}, {"a": "1"}),
        ({"type": "map", "values": "int"}, {"\ud800": 1}),
        ({"type": "map", "values": "int"}, []),
        (POINT, {"b": 1}),
        (POINT, {"a": 1, "c": 1}),
        (POINT, {"a": "1"}),
        (["null", "int"], "text"),
        # of a union the first branch decides, wherever it stands
        (["null", "string"], "x"),
        (["null", "int"], 7),
        (["int", "null"], None),
        (["string", "null"], None),
        (["int", "string"], "x"),
        (["null", nested(1)], []),
        ([ENUM, "string"], "C"),
        ([FIXED, "bytes"], "abc"),
        (nested(1, ["null", "int"]), [None, 7]),
        ({"type": "map", "values": ["null", "string"]}, {"a": "x"}),
        (record({"name": "a", "type": ["null", "int"]}, name="R"), {"a": 7}),
        (record({"name": "a", "type": ["null", "int"], "default": None}, name="R"), {"a": 7}),
        # of an enum's own default nothing is left over for a field
        ({**ENUM, "default": "A"}, "C"),
        ({**ENUM, "default": "A"}, None),
        (POINT, {}),
        (POINT, None),
        ("bytes", None),
        ("int", 1.5),
        ("long", "7"),
        ("string", 7),
        # what a logical type means
        ({"type": "string", "logicalType": "uuid"}, "x"),
        ({"type": "string", "logicalType": "uuid"}, ""),
        ({"type": "int", "logicalType": "date"}, "2026-01-31"),
        ({"type": "long", "logicalType": "timestamp-micros"}, "2026-01-31T00:00:00Z"),
        ({"type": "int", "logicalType": "time-millis"}, 86_400_000),
        ({"type": "long", "logicalType": "time-micros"}, -1),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2}, ""),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2}, "d"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2}, 1.5),
    ],
)
def test_a_default_that_does_not_fit_is_refused(kind: Tree, default: Tree) -> None:
    with pytest.raises(ValueError, match=r"field x: .* cannot have the default"):
        parse(typed(kind, default=default))


@pytest.mark.parametrize(
    ("kind", "default", "text"),
    [
        ("null", None, "null"),
        ("boolean", False, "false"),
        ("int", -(2**31), "-2147483648"),
        ("long", 2**63 - 1, "9223372036854775807"),
        ("double", 1, "1.0"),
        ("float", 3.4028234663852886e38, "3.4028234663852886e+38"),
        ("string", "é", '"\\u00e9"'),
        ("bytes", "\x00ÿ", '"\\u0000\\u00ff"'),
        (FIXED, "ab", '"ab"'),
        (ENUM, "B", '"B"'),
        (nested(1), [2, 1], "[2,1]"),
        ({"type": "map", "values": "double"}, {"b": 1, "a": 2}, '{"a":2.0,"b":1.0}'),
        (POINT, {"a": 1}, '{"a":1}'),
        (["null", "int"], None, "null"),
        (["double", "int"], 7, "7.0"),
        ([nested(1), "null"], [], "[]"),
        (["string", "null"], "x", '"x"'),
        ([ENUM, "null"], "A", '"A"'),
        ({**ENUM, "default": "A"}, "B", '"B"'),
        (nested(1, ["null", "int"]), [None, None], "[null,null]"),
        (record({"name": "a", "type": ["null", "int"], "default": None}, name="R"), {}, "{}"),
        (
            {"type": "string", "logicalType": "uuid"},
            "6F9619FF-8b86-d011-b42d-00c04fc964ff",
            '"6F9619FF-8b86-d011-b42d-00c04fc964ff"',
        ),
        ({"type": "int", "logicalType": "date"}, -1, "-1"),
        ({"type": "int", "logicalType": "time-millis"}, 86_399_999, "86399999"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2}, "c", '"c"'),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2}, "ÿ", '"\\u00ff"'),
        ({"type": "string", "logicalType": "ours"}, "x", '"x"'),
    ],
)
def test_a_default_has_one_text(kind: Tree, default: Tree, text: str) -> None:
    schema = parse(typed(kind, default=default))
    assert schema.fields[2].default == text
    assert parse(canonical(schema)) == schema
    fastavro.parse_schema(json.loads(canonical(schema)))


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        (["string", "null"], "x"), (["null", "string"], None), (POINT, {"a": 1}), ([ENUM, "null"], "B"),
        (nested(1, ["null", "int"]), [None]), ({"type": "map", "values": ["string", "null"]}, {"k": "v"}),
        ("bytes", "ÿ"), (FIXED, "ab"), ({"type": "int", "logicalType": "date"}, 0),
    ],
)  # fmt: skip
def test_another_reader_takes_a_default_where_a_file_lacks_the_field(kind: Tree, default: Tree) -> None:
    with_default = json.loads(canonical(parse(typed(kind, default=default))))
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(record(ID, TIME)), [{"id": "a", "time": 1}])
    file.seek(0)
    assert list(fastavro.reader(file, with_default)) == [{"id": "a", "time": 1, "x": default}]


def test_a_schema_that_was_accepted_before_is_still_read() -> None:
    for kind, default, text in (
        (["null", "string"], "x", '"x"'),
        (["null", nested(1)], [], "[]"),
        ({"type": "string", "logicalType": "uuid"}, "x", '"x"'),
    ):
        schema = parse(typed(kind, default=default), registered=True)
        assert schema.fields[2].default == text
        assert parse(canonical(schema), registered=True) == schema


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"type": "bytes"}, "precision None"),
        ({"type": "bytes", "precision": 0}, "precision 0"),
        ({"type": "bytes", "precision": "4"}, "precision '4'"),
        ({"type": "bytes", "precision": True}, "precision True"),
        ({"type": "bytes", "precision": 4, "scale": 5}, "the scale 5"),
        ({"type": "bytes", "precision": 4, "scale": -1}, "the scale -1"),
        ({"type": "bytes", "precision": 4, "scale": None}, "the scale None"),
        ({**FIXED, "precision": 5}, "precision 5"),
        ({**FIXED, "size": 0, "precision": 1}, "precision 1"),
        ({"type": "string", "precision": 4}, "string cannot be a decimal"),
        ({"type": "int", "logicalType": "timestamp-millis"}, "int cannot be a timestamp-millis"),
        ({"type": "long", "logicalType": "date"}, "long cannot be a date"),
        ({**FIXED, "logicalType": "duration"}, "fixed F of 2 octets cannot be a duration"),
        ({**FIXED, "logicalType": "uuid"}, "cannot be a uuid"),
        ({"type": "int", "logicalType": 7}, "a logical type is a text, not 7"),
    ],
)
def test_a_logical_type_that_readers_would_ignore_is_refused(kind: Tree, message: str) -> None:
    with pytest.raises(ValueError, match=f"field x: .*{message}"):
        parse(typed({"logicalType": "decimal", **kind}))


def test_the_digits_of_a_fixed_decimal_are_those_its_octets_hold() -> None:
    for size in range(1, 40):
        most = len(str(2 ** (8 * size - 1) - 1)) - 1
        parse(typed({**FIXED, "size": size, "logicalType": "decimal", "precision": most}))
        with pytest.raises(ValueError, match="precision"):
            parse(typed({**FIXED, "size": size, "logicalType": "decimal", "precision": most + 1}))


# -- the one text --------------------------------------------------------------------------------------------


def test_the_text_has_full_names_and_what_readers_need_and_nothing_else() -> None:
    """Golden: another text would give every schema already registered another id."""
    inner = record({"name": "city", "type": "string", "aliases": ["town"]}, name="Address", doc="where")
    tree = record(
        {**ID, "doc": "unique", "order": "ignore"},
        {"name": "time", "type": {"type": "int"}},
        {"name": "home", "type": inner, "default": {"city": "-"}},
        {"name": "work", "type": ["null", "Address"], "default": None},
        {"name": "level", "type": {**ENUM, "namespace": "b", "default": "A"}},
        {"name": "level_again", "type": {"type": "b.E"}},
        {"name": "bare", "type": {**FIXED, "namespace": ""}},
        {"name": "price", "type": {"type": "bytes", "precision": 9, "logicalType": "decimal", "x": 1}},
        {
            "name": "at",
            "type": {"type": "array", "items": {"logicalType": "timestamp-micros", "type": "long"}},
        },
        {"name": "odd", "type": {"type": "map", "values": "float", "logicalType": "ours"}},
        namespace="a",
        aliases=["Old"],
        version=7,
    )
    text = canonical(parse(tree))
    assert text == (
        '{"name":"a.Event","type":"record","fields":[{"name":"id","type":"string"},{"name":"time","type":"int"},'
        '{"name":"home","type":{"name":"a.Address","type":"record","fields":[{"name":"city","type":"string"}]},'
        '"default":{"city":"-"}},{"name":"work","type":["null","a.Address"],"default":null},'
        '{"name":"level","type":{"name":"b.E","type":"enum","symbols":["A","B"],"default":"A"}},'
        '{"name":"level_again","type":"b.E"},{"name":"bare","type":{"name":"F","type":"fixed","namespace":"","size":2}},'
        '{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":0}},'
        '{"name":"at","type":{"type":"array","items":{"type":"long","logicalType":"timestamp-micros"}}},'
        '{"name":"odd","type":{"type":"map","values":"float","logicalType":"ours"}}]}'
    )
    assert fingerprint(text) == "dfbe2549268e23162d136b691d214aa218cbd253473b342e50acb38b22e1a57e"
    assert parse(text) == parse(json.dumps(tree, indent=2)) == parse(tree)
    assert changes(parse(tree), parse(text)) == ()
    fastavro.parse_schema(json.loads(text))


def test_names_follow_the_namespace_around_them() -> None:
    inner = record(
        {"name": "e", "type": ENUM}, {"name": "again", "type": "E"}, name="b.c.Inner", namespace="ignored"
    )
    schema = parse(typed(inner) | {"namespace": "a"})
    assert [part.type.name for part in schema.fields[2].type.fields] == ["b.c.E", "b.c.E"]
    with pytest.raises(ValueError, match="field y: unknown type 'E'"):
        parse(record(ID, TIME, {"name": "x", "type": inner}, {"name": "y", "type": "E"}, namespace="a"))
    bare = record({"name": "e", "type": ENUM}, {"name": "again", "type": "E"}, name="Inner", namespace="")
    schema = parse(typed(bare) | {"namespace": "a"})
    assert [part.type.name for part in schema.fields[2].type.fields] == ["E", "E"]
    assert parse(canonical(schema)) == schema


def test_a_name_like_that_of_a_complex_type_is_a_name_in_its_place() -> None:
    tree = record(ID, TIME, {"name": "x", "type": {**ENUM, "name": "array"}}, {"name": "y", "type": "array"})
    assert parse(tree).fields[3].type.kind == "enum"


def test_a_type_that_is_named_again_is_the_type_itself() -> None:
    point = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}
    fields = [{"name": "id", "type": "string"}, {"name": "time", "type": "int"}]
    pair = [{"name": "one", "type": point}, {"name": "two", "type": ["null", "Point"]}]
    event = parse({"type": "record", "name": "Pair", "namespace": "a", "fields": [*fields, *pair]})
    one, two = (field.type for field in event.fields[2:])
    assert two.nullable and two.besides_null == one and one.name == "a.Point"


def test_each_text_is_resolved_once() -> None:
    text = canonical(
        parse(
            {
                "type": "record",
                "name": "E",
                "fields": [{"name": "id", "type": "string"}, {"name": "time", "type": "int"}],
            }
        )
    )
    assert registered_tree(text) is registered_tree(text) == parse(text)
