"""Which columns an expression reads, told from its text: never fewer than it does."""

from __future__ import annotations

from typing import Any

import pytest

from rover_spark.delta.used_columns import resolved, used

SCHEMA: dict[str, Any] = {
    "type": "struct",
    "fields": [
        {"name": "who", "type": "string"},
        {"name": "Kind", "type": "string"},
        {"name": "date", "type": "date"},
        {"name": "a b`c", "type": "string"},
        {
            "name": "traits",
            "type": {
                "type": "struct",
                "fields": [
                    {"name": "tier", "type": "string"},
                    {
                        "name": "home",
                        "type": {"type": "struct", "fields": [{"name": "town", "type": "string"}]},
                    },
                ],
            },
        },
        {
            "name": "items",
            "type": {
                "type": "array",
                "elementType": {"type": "struct", "fields": [{"name": "price", "type": "long"}]},
            },
        },
        {"name": "more", "type": {"type": "map", "keyType": "string", "valueType": "string"}},
    ],
}
ALL = {"who", "Kind", "date", "a b`c", "traits", "items", "more"}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("who", {"who"}),
        ("`who`", {"who"}),
        ("WHO", {"who"}),
        ("lower(kind)", {"Kind"}),
        ("`a b``c`", {"a b`c"}),
        ("'who' || \"Kind\" || 'it''s who' || 'a\\' who'", set()),
        ("r'\\' || who || 'x'", {"who"}),
        ('R"\\" || who || "x"', {"who"}),
        ("date /* it's */ || who -- don't\n || 'x'", {"date", "who"}),
        ("date(who)", {"who"}),
        (
            "date (who) > DATE'2026-01-01'",
            {"who", "date"},
        ),  # DATE stands before no bracket: it might be the column
        ("date", {"date"}),
        ("traits", {"traits"}),
        ("traits.tier", {"traits.tier"}),
        ("`traits` . `TIER`", {"traits.tier"}),
        ("traits.home", {"traits.home"}),
        ("traits.home.town", {"traits.home.town"}),
        ("traits.tier || traits.home.town", {"traits.tier", "traits.home.town"}),
        ("traits.tier || to_json(traits)", {"traits"}),
        ("struct(traits.*)", {"traits"}),
        ("struct(traits.home.*)", {"traits.home"}),
        ("traits['tier']", {"traits"}),
        ("items.price", {"items.price"}),
        ("items[0].price", {"items"}),
        ("transform(items, i -> i.price * 2)", {"items"}),
        ("more.key", {"more"}),
        ("t.who", {"who"}),
        ("struct(*)", ALL),
        ("to_json(struct(who, * EXCEPT (Kind)))", ALL),
        ("*", ALL),
        ("length(who) * 2", {"who"}),
        ("1 + 2", set()),
        ("", set()),
        (None, set()),
    ],
)
def test_what_an_expression_reads(text: str | None, paths: set[str]) -> None:
    assert {".".join(path) for path in resolved(used([text]), SCHEMA)} == paths


def test_what_several_expressions_read_is_what_each_of_them_does() -> None:
    both = resolved(used(["traits.tier", None, "who", "traits.home.town"]), SCHEMA)
    assert both == {("traits", "tier"), ("traits", "home", "town"), ("who",)}
