"""Objects that come in any order, damaged, again and late, loaded by runs that are killed: the tables are the same in the end."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest

from tests.consume.ddl.export import BEGIN
from tests.consume.load.arrivals import TABLES, Story, digest, story
from tests.consume.load.killing import killed
from tests.consume.load.loading import Engine, differences
from tests.consume.written import put

SOON, LATE = BEGIN + timedelta(hours=30), BEGIN + timedelta(days=10)
SEEDS = [*range(2), *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 30))]
KEPT = (
    "SELECT key, bytes, sha256, records, bad_lines, damaged FROM rover_load.objects ORDER BY key",
    "SELECT batch, sha256, stream, instant, loaded FROM rover_load.manifests ORDER BY batch",
    "SELECT key, line, code FROM rover_load.quarantine ORDER BY key, line",
)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_disturbs_the_runs_changes_nothing_in_the_end(engine: Engine, seed: int, tmp_path: Path) -> None:
    chance, told = random.Random(seed), story(seed)
    place, into = tmp_path / "bucket" / "acme", tmp_path / "into.tables"
    (place / "exports").mkdir(parents=True)
    ends = sorted(chance.sample(range(1, len(told.arrivals)), 3))
    dying = chance.sample(range(4), chance.randrange(1, 3))
    for number, (begin, end) in enumerate(zip([0, *ends], [*ends, len(told.arrivals)], strict=True)):
        for key, data in told.arrivals[begin:end]:
            put(tmp_path / "bucket", key, data)
        now = SOON + timedelta(minutes=number)
        if number in dying:
            killed(engine, place, into, now, group=chance.randrange(1, 30), objects=chance.randrange(30))
        else:
            engine.loaded(place, into, now, group=chance.randrange(1, 30))
        assert broken(engine, into, told) == []
    engine.loaded(place, into, LATE)
    again = engine.loaded(place, into, LATE)
    assert (again.datasets, again.waiting, again.unnamed) == ((), 0, 0)

    assert differences(engine, into, told.export) == []
    for name in TABLES.values():
        assert {each for (each,) in engine.ask(into, f"SELECT id FROM {name}_records")} == told.ids(
            f"{name}_raw"
        )
    assert set(engine.ask(into, "SELECT key, line, code FROM rover_load.quarantine")) == told.refused

    once = tmp_path / "once.tables"
    engine.loaded(told.write(tmp_path / "once"), once, LATE)
    assert engine.tables(into) == engine.tables(once)
    origins = [f"SELECT id, object_key FROM {each} ORDER BY id" for each in engine.tables(once)]
    for query in (*KEPT, *origins):
        assert engine.ask(into, query) == engine.ask(once, query)


def broken(engine: Engine, into: Path, told: Story) -> list[str]:
    """What a receiver who asks between two runs would see of half a transaction."""
    every = " UNION ALL ".join(f"SELECT '{each}' AS name, id FROM {each}" for each in engine.tables(into))
    rows = defaultdict[str, list[str]](list)
    for table, id_ in engine.ask(into, every) if every else ():
        rows[table].append(id_)
    wrong = [f"{table}: an id comes twice" for table, ids in rows.items() if len(ids) != len(set(ids))]
    wrong += [
        f"{table}: an id that nobody wrote" for table, ids in rows.items() if set(ids) - told.ids(table)
    ]
    noted = engine.ask(into, "SELECT key, sha256 FROM rover_load.objects WHERE damaged IS NULL")
    for key, sha256 in noted:
        holding = told.holdings[sha256]
        if holding.ids - set(rows[holding.table]):
            wrong.append(f"{key} is noted, its rows are not there")
    for (batch,) in engine.ask(into, "SELECT batch FROM rover_load.manifests WHERE loaded"):
        for key in told.batches[batch]:
            holding = told.holdings[digest(told.place[f"acme/{key}"])]
            if holding.ids - set(rows[holding.table]):
                wrong.append(f"{batch} is noted, the rows of {key} are not there")
    return wrong
