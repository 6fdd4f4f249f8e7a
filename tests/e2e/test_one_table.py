"""One wide table, as a CRM keeps it, serves several datasets; each of its identifiers is a row of the graph."""

from __future__ import annotations

from datetime import timedelta

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from rover_spark import commands
from rover_spark.errors import ConfigError
from tests import receiver
from tests.e2e.world import FEED, World, uuid

AT = "2026-11-01 10:00:00"
GRAPH = "fan_identity_graph"
IDENTIFIERS = {"email": "lower(email)", "phone": "phone", "card, gold": "card"}


def fan(n: int, email: str | None, phone: str | None, card: int | None, survivor: int | None = None) -> str:
    """One wide row as SQL values."""
    texts = ", ".join("NULL" if each is None else f"'{each}'" for each in (email, phone))
    into = "NULL" if survivor is None else f"'{uuid(survivor)}'"
    return f"('{uuid(n)}', {texts}, {'NULL' if card is None else card}, {into}, TIMESTAMP '{AT}')"


@pytest.fixture
def crm(world: World) -> World:
    columns = "fan STRING, email STRING, phone STRING, card DECIMAL(20, 0), survivor STRING, seen TIMESTAMP"
    world.sql(f"CREATE TABLE {{t}} ({columns}) USING delta {FEED}", t="crm")
    rows = [
        fan(1, "One@Example.com", "+1", 11),
        fan(2, "two@example.com", None, None),
        fan(3, "three@example.com", "+3", None),
        fan(4, "four@example.com", "+4", 44),
        fan(5, None, None, None, survivor=1),
    ]
    world.sql(f"INSERT INTO {{t}} VALUES {', '.join(rows)}", t="crm")
    table, base = world.table("crm"), {"roverID": "fan", "updatedAt": "seen"}
    world.datasets = {
        "fan_profiles": {"table": table, "columns": {**base, "traits": "struct(email, phone)"}},
        GRAPH: {
            "table": f"file://{table}",
            "columns": base,
            "identifiers": IDENTIFIERS,
            "extra": {"verified": "_identifierType = 'email'"},
        },
        "fan_profile_merges": {
            "table": table,
            "where": "survivor IS NOT NULL",
            "columns": {"roverID": "survivor", "mergedRoverID": "fan", "occurredAt": "seen"},
        },
    }
    return world


def told(world: World, after: set[str]) -> set[tuple[int, str, str, str]]:
    """(fan, type, identifier, operation) of the records with other ids than ``after``."""
    return {
        (int(each["roverID"][:8], 16), each["identifierType"], each["identifier"], each["operation"])
        for each in receiver.records(world.bucket, GRAPH)
        if each["id"] not in after
    }


def ids(world: World) -> set[str]:
    return {each["id"] for each in receiver.records(world.bucket, GRAPH)}


def held(world: World) -> set[tuple[str, str, str]]:
    """The graph as the table holds it."""
    rows = world.spark.sql(
        f"SELECT fan, lower(email), phone, card FROM delta.`{world.table('crm')}`"
    ).collect()
    return {
        (row[0], name, str(value))
        for row in rows
        for name, value in zip(IDENTIFIERS, row[1:], strict=True)
        if value is not None
    }


def test_identifiers_of_wide_rows_come_and_go_one_by_one(crm: World) -> None:
    first = crm.delivered()
    assert [(batch.dataset, batch.counts["delivered"]) for batch in first.batches] == [
        ("fan_profiles", 5),
        (GRAPH, 9),
        ("fan_profile_merges", 1),
    ]
    assert {each[3] for each in told(crm, set())} == {"create"}
    assert receiver.identities(crm.bucket) == held(crm)
    before = ids(crm)
    table, later = DeltaTable(crm.table("crm")), {"seen": "seen + INTERVAL '1' HOUR"}
    table.update(predicate=f"fan = '{uuid(1)}'", updates={"email": "'new@example.com'", **later})
    table.update(predicate=f"fan = '{uuid(2)}'", updates={"phone": "'+2'", **later})
    table.update(predicate=f"fan = '{uuid(3)}'", updates={"phone": "NULL", "email": "upper(email)", **later})
    table.delete(f"fan = '{uuid(4)}'")
    rows = table.to_pyarrow_table()
    write_deltalake(
        table, rows.set_column(5, "seen", pc.add(rows["seen"], timedelta(days=1))), mode="overwrite"
    )
    more = f"{fan(6, None, '+6', None)}, ('broken', 'b', 'c', NULL, NULL, TIMESTAMP '{AT}')"
    crm.sql(f"INSERT INTO {{t}} VALUES {more}", t="crm")
    (graph,) = crm.delivered(datasets=[GRAPH]).batches
    assert told(crm, before) == {
        (1, "email", "one@example.com", "delete"),
        (1, "email", "new@example.com", "create"),
        (2, "phone", "+2", "create"),
        (3, "phone", "+3", "delete"),
        (4, "email", "four@example.com", "delete"),
        (4, "phone", "+4", "delete"),
        (4, "card, gold", "44", "delete"),
        (6, "phone", "+6", "create"),
    }
    # unchanged, each only later: two of fan 1, one of 2, one of 3; then all six that the overwrite wrote again
    assert graph.counts == {
        "read": 20, "delivered": 8, "no_change": 10, "superseded": 0, "suppressed": 0, "conflict": 0, "quarantined": 2
    }  # fmt: skip
    assert graph.plan is not None and graph.plan.source_rows == 20 + 4 + 6, (
        "and the other half of each unchanged one"
    )
    assert receiver.identities(crm.bucket) == {each for each in held(crm) if each[0] != "broken"}
    assert {each["verified"] for each in receiver.records(crm.bucket, GRAPH)} == {True, False}
    content = crm.fingerprint()
    assert commands.redeliver(crm.spark, crm.settings, graph.batch).ok and crm.fingerprint() == content
    crm.datasets[GRAPH]["identifiers"] = {"email": "email"}
    with pytest.raises(ConfigError, match=r"datasets\.fan_identity_graph\.identifiers: differs"):
        crm.export(datasets=[GRAPH])
