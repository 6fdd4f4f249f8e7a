"""One wide table, as a CRM keeps it, serves several datasets; each of its identifiers is a row of the graph.

The settings, what `check` shows of them and what comes out stand in docs/configuration.md: they are taken from there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import functions as F

from rover_spark.errors import ConfigError
from rover_spark.face import commands
from tests import receiver
from tests.e2e.world import FEED, World, uuid

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = Path(__file__).resolve().parents[2].joinpath("docs", "configuration.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## One wide table for several datasets")[2].partition("\n## ")[0]
GRAPH = "fan_identity_graph"
COLUMNS = (
    "fan_id STRING, first_name STRING, last_name STRING, birthday DATE, gender STRING, town STRING, country STRING, "
    "language STRING, tier STRING, points BIGINT, balance DECIMAL(10, 2), newsletter BOOLEAN, nickname STRING, "
    "email STRING, phone STRING, card_no DOUBLE, changed STRING"
)


def snippet(kind: str) -> str:
    """The page's code of that kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
    return str(found)


def fan(
    n: int, email: str | None, phone: str | None, card: int | None, changed: str = "01.11.2026 10:00"
) -> str:
    """One wide row as SQL values."""
    texts = ", ".join("NULL" if each is None else f"'{each}'" for each in (email, phone))
    traits = "'Ada', 'Obi', DATE '1990-05-17', NULL, 'Leeds', 'GB', 'en', 'gold', 120, 12.50, true, ' Ad'"
    return f"('{uuid(n)}', {traits}, {texts}, {'NULL' if card is None else f'{card}D'}, '{changed}')"


@pytest.fixture
def crm(world: World) -> World:
    world.sql(f"CREATE TABLE {{t}} ({COLUMNS}) USING delta {FEED}", t="crm")
    rows = [
        fan(1, "One@Example.com", None, 12345678),
        fan(2, "two@example.com", None, None),
        fan(3, "three@example.com", "+3", None),
        fan(4, None, None, None, changed="yesterday"),
    ]
    world.sql(f"INSERT INTO {{t}} VALUES {', '.join(rows)}", t="crm")
    world.datasets = tomllib.loads(snippet("toml"))["datasets"]
    for dataset in world.datasets.values():
        assert dataset["table"] == "main.crm.fans"
        dataset["table"] = world.table("crm")
    world.datasets[GRAPH]["table"] = f"file://{world.table('crm')}"
    return world


def sent(world: World, after: set[str]) -> set[tuple[int, str, str, str]]:
    """(fan, type, identifier, operation) of the records with other ids than ``after``."""
    return {
        (int(each["roverID"][:8], 16), each["identifierType"], each["identifier"], each["operation"])
        for each in receiver.records(world.bucket, GRAPH)
        if each["id"] not in after
    }


def held(world: World) -> set[tuple[str, str, str]]:
    """The graph as the table holds it."""
    values = {"email": "lower(email)", "phone": "phone", "card": "bigint(card_no)"}
    rows = world.spark.read.format("delta").load(world.table("crm"))
    rows = rows.select("fan_id", *(F.expr(text).cast("string") for text in values.values()))
    return {
        (row[0], name, value)
        for row in rows.collect()
        for name, value in zip(values, row[1:], strict=True)
        if value is not None
    }


def test_what_the_page_says_of_a_wide_table_is_shown_and_comes_out(crm: World) -> None:
    found = {(each.about, each.tried): each for each in commands.check(crm.spark, crm.settings).checks}
    profiles, graph, rows = snippet("text").splitlines()
    assert found["fan_profiles", "fields"].found == profiles
    assert found[GRAPH, "fields"].found == graph
    assert found["fan_profiles", "first rows"].found == rows
    assert found["fan_profiles", "first rows"].state == "warning"
    assert found[GRAPH, "first rows"].found == "5 rows tried: each can be delivered"
    assert not [each for each in found.values() if "Ada" in str(each) or "example.com" in str(each)]
    first = crm.delivered()
    assert [(each.dataset, each.counts["read"], each.counts["delivered"]) for each in first.batches] == [
        ("fan_profiles", 4, 3),
        (GRAPH, 5, 5),
    ]
    lines = [
        line
        for name in ("fan_profiles", GRAPH)
        for line in receiver.lines(crm.bucket, name)
        if uuid(1) in line
    ]
    shown = [re.sub(r'("id"|"emittedAt"):"[^"]*"', r'\1:"…"', line) for line in lines]
    assert sorted(shown) == sorted(snippet("json").splitlines())
    identifiers_come_and_go_one_by_one(crm)


def identifiers_come_and_go_one_by_one(crm: World) -> None:
    before = {each["id"] for each in receiver.records(crm.bucket, GRAPH)}
    assert receiver.identities(crm.bucket) == held(crm)
    crm.sql(f"INSERT INTO {{t}} VALUES {fan(5, 'five@example.com', '+5', 55)}", t="crm")
    table = DeltaTable(crm.table("crm"))

    def update(n: int, **values: str) -> None:
        table.update(predicate=f"fan_id = '{uuid(n)}'", updates={"changed": "'02.11.2026 10:00'", **values})

    table.update_incremental()
    update(1, email="'new@example.com'")
    update(2, phone="'+2'")
    update(3, phone="NULL", email="upper(email)")
    table.delete(f"fan_id = '{uuid(5)}'")
    rows = table.to_pyarrow_table().to_pylist()
    later = [{**row, "changed": "03.11.2026 10:00"} for row in rows]
    schema = table.to_pyarrow_table().schema
    write_deltalake(table, type(table.to_pyarrow_table()).from_pylist(later, schema=schema), mode="overwrite")
    crm.sql(f"INSERT INTO {{t}} VALUES {fan(6, None, '+6', None).replace(uuid(6), 'broken')}", t="crm")
    (graph,) = crm.delivered(datasets=[GRAPH]).batches
    assert sent(crm, before) == {
        (1, "email", "one@example.com", "delete"),
        (1, "email", "new@example.com", "create"),
        (2, "phone", "+2", "create"),
        (3, "phone", "+3", "delete"),
        *((5, *each, operation) for each in (("email", "five@example.com"), ("phone", "+5"), ("card", "55")) for operation in ("create", "delete")),
    }  # fmt: skip
    # unchanged, each only later: the card of 1, the email of 2, that of 3; then all five that the overwrite wrote again
    assert graph.counts == {
        "read": 19, "delivered": 10, "no_change": 8, "superseded": 0, "suppressed": 0, "conflict": 0, "quarantined": 1
    }  # fmt: skip
    assert graph.plan is not None and graph.plan.source_rows == 19 + 8, (
        "and the other half of each unchanged one"
    )
    assert receiver.identities(crm.bucket) == {each for each in held(crm) if each[0] != "broken"}
    content = crm.fingerprint()
    assert commands.redeliver(crm.spark, crm.settings, graph.batch).ok and crm.fingerprint() == content
    crm.datasets[GRAPH]["identifiers"] = {"email": "email"}
    with pytest.raises(ConfigError, match=r"datasets\.fan_identity_graph\.identifiers: differs"):
        crm.export(datasets=[GRAPH])
