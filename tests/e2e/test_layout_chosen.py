"""Which layout a plan takes, and what it says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rover_spark.config.settings import load
from rover_spark.face import commands
from tests import NATIVE
from tests.e2e.filed import EVENTS, PROFILES, Filed, fans, plans, write
from tests.e2e.world import World


@pytest.mark.skipif(not NATIVE, reason="Spark reads the log: data files cannot be listed")
def test_plan_says_why_ids_are_hashed(filed: Filed) -> None:
    table = filed.table("fans")
    write(table, fans(0, 20), fans(20, 40))
    write(filed.table("own"), fans(0, 20).rename_columns(["who", "n", "town", "_FILE", "at"]))
    write(filed.table("empty"), fans(0, 0))
    write(filed.table("alike"), fans(0, 20, town="a"), fans(20, 40, town="b"), partition_by=["town"])
    for path in Path(filed.table("alike")).glob("*/*.parquet"):
        for entry in (Path(filed.table("alike")) / "_delta_log").glob("*.json"):
            entry.write_text(entry.read_text().replace(path.name, "same.parquet"))
        path.rename(path.with_name("same.parquet"))

    identities = {"roverID": "who", "identifierType": "'n'", "identifier": "town", "updatedAt": "at"}
    merges = {"roverID": "who", "mergedRoverID": "who", "occurredAt": "at"}
    filed.datasets = {
        "fan_profiles": {"table": table, "columns": {**PROFILES, "traits": "struct(*)"}},
        "fan_identity_graph": {"table": filed.table("own"), "columns": identities},
        "fan_profile_merges": {"table": filed.table("alike"), "columns": merges},
        "fan_track_events": {"table": filed.table("empty"), "columns": EVENTS, "start": "earliest"},
    }

    def why(**files: Any) -> dict[str, str]:
        world = filed.by("files", **files)
        said = commands.plan(world.spark, world.settings, now=world.now())
        found = {plan.dataset: plan.arrangement for plan in plans(said).values()}
        assert {each.arrangement for each in said.planned.values()} == set(found.values())
        return found

    assert why() == {
        "fan_profiles": "hash: an expression reads the whole row",
        "fan_identity_graph": "hash: the table has a column named _file",
        "fan_profile_merges": "hash: the table has files that are named alike",
        "fan_track_events": "",
    }
    filed.datasets = {"fan_profiles": {"table": table, "columns": PROFILES}}
    assert why(target_records=61) == {"fan_profiles": "hash: 2 data files, 20 rows each on average: too few"}
    read = '2 data files, 20 rows each on average; Spark reads them: files.reader is "spark"'
    assert why(target_records=60) == {"fan_profiles": f"files, spark: {read}"}
    assert not (filed.root / "files-spark" / "bucket").exists()
    hashed = filed.by("hash")
    said = commands.plan(hashed.spark, hashed.settings, now=hashed.now())
    assert plans(said)["fan_profiles"].arrangement == 'hash: files.layout is "hash"'


def test_layout_reader_and_dedupe_come_from_the_environment_too(tmp_path: Path) -> None:
    world = World(None, tmp_path)  # type: ignore[arg-type]
    environment = {
        "ROVER_SPARK__FILES__LAYOUT": "hash",
        "ROVER_SPARK__FILES__READER": "spark",
        "ROVER_SPARK__DATASETS__FAN_IDENTITY_GRAPH__DEDUPE": "true",
    }
    world.datasets["fan_identity_graph"] = {"table": world.table("ids")}
    found = load(world.config(), environment)
    assert (found.files.layout, found.files.reader) == ("hash", "spark")
    assert found.datasets["fan_identity_graph"].dedupe
