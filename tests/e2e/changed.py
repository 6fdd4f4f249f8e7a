"""Tables that change besides in their rows, and commits as other writers leave them: written by hand into the log."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from rover_spark.face import commands
from rover_spark.face.results import Result
from tests import receiver
from tests.e2e.world import World, uuid

FEED = "'delta.enableChangeDataFeed' = 'true'"
MAPPING = (
    "'delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5'"
)
MAPPED = f"{FEED}, {MAPPING}"
PROFILES = "who STRING, traits STRUCT<tier: STRING, town: STRING, n: BIGINT>, k INT, seen TIMESTAMP"


def profile(n: int, tier: str, town: str, k: int = 1) -> str:
    """One profile as SQL values."""
    return (
        f"('{uuid(n)}', named_struct('tier', '{tier}', 'town', '{town}', 'n', {n}L), {k}, "
        f"TIMESTAMP '2026-11-01 10:00:0{n}')"
    )


class Changed(World):
    """A world of one table of profiles, and others beside it."""

    truncated = ""  # when receivers had to begin anew

    def profiles(self, properties: str = FEED, tail: str = "", **columns: str) -> None:
        """Three profiles in one file, where the table has no partitions."""
        self.sql(f"CREATE TABLE {{p}} ({PROFILES}) USING delta {tail} TBLPROPERTIES ({properties})", p="p")
        rows = ", ".join(profile(n, f"tier{n}", f"town{n}", n) for n in (1, 2, 3))
        self.sql(f"INSERT INTO {{p}} SELECT /*+ COALESCE(1) */ * FROM VALUES {rows}", p="p")
        named = {"roverID": "who", "updatedAt": "seen", **columns}
        self.datasets["fan_profiles"] = {"table": self.table("p"), "columns": named, "deletes": "tombstone"}

    def log(self, table: str, version: int | None = None) -> list[dict[str, Any]]:
        """The actions of a commit, the newest where none is named."""
        paths = sorted((Path(self.table(table)) / "_delta_log").glob("*.json"))
        path = paths[-1] if version is None else paths[version]
        return [json.loads(line) for line in path.read_text().splitlines()]

    def commit(self, table: str, *actions: dict[str, Any], **parameters: Any) -> None:
        """A commit as another writer leaves it."""
        log = Path(self.table(table)) / "_delta_log"
        version = len(list(log.glob("*.json")))
        info = {"timestamp": int(time.time() * 1000), "operation": "WRITE", "operationParameters": parameters}
        lines = [json.dumps(each) for each in ({"commitInfo": info}, *actions)]
        (log / f"{version:020d}.json").write_text("\n".join(lines) + "\n")

    def without_vectors(self, table: str) -> None:
        """As DROP FEATURE deletionVectors leaves a table, in two commits instead of eight."""
        self.sql("REORG TABLE {t} APPLY (PURGE)", t=table)
        first = {name: each[name] for each in self.log(table, 0) for name in each}
        protocol, metadata = first["protocol"], first["metaData"]
        metadata["configuration"].pop("delta.enableDeletionVectors")
        for name in ("readerFeatures", "writerFeatures"):
            protocol[name] = [each for each in protocol[name] if each != "deletionVectors"]
        self.commit(table, {"protocol": protocol}, {"metaData": metadata})

    def added_again(self, table: str, name: str) -> dict[str, Any]:
        """An ``add`` of a copy of the first data file that the log names."""
        place, version = Path(self.table(table)), 0
        while not (adds := [each["add"] for each in self.log(table, version) if "add" in each]):
            version += 1
        shutil.copy(place / adds[0]["path"], place / name)
        return {"add": {**adds[0], "path": name}}

    def bare_remove(self, table: str) -> dict[str, Any]:
        """A ``remove`` of the first data file that says no more than the protocol asks for."""
        version = 0
        while not (adds := [each["add"] for each in self.log(table, version) if "add" in each]):
            version += 1
        return {"remove": {"path": adds[0]["path"], "deletionTimestamp": 1, "dataChange": True}}

    def damage(self, table: str) -> None:
        """Spoils the values of the data file that the newest commit added; its footer stays whole."""
        (path,) = (each["add"]["path"] for each in self.log(table) if "add" in each)
        file = Path(self.table(table)) / path
        (file.parent / f".{file.name}.crc").unlink(missing_ok=True)  # Hadoop's own sum on local disks
        content = bytearray(file.read_bytes())
        footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        content[4:footer] = bytes(footer - 4)
        file.write_bytes(bytes(content))

    def overwrite(self, table: str, partition: str | None, *exprs: str) -> None:
        """The table's own rows, as other columns or under other partitions."""
        rows = self.spark.read.format("delta").load(self.table(table)).selectExpr(*exprs or ("*",))
        writer = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        (writer.partitionBy(partition) if partition else writer).save(self.table(table))

    def held(self, k: str | None = None) -> dict[str, tuple[dict[str, Any], Any]]:
        """Traits (absent where null) and a further column by fan, as the table has them."""
        rows = self.spark.read.format("delta").load(self.table("p"))
        told = rows.selectExpr("who", "to_json(traits) t", f"{k or 'null'} k").collect()
        return {row["who"]: (json.loads(row["t"]), row["k"]) for row in told}

    def told(self) -> dict[str, tuple[dict[str, Any], Any]]:
        """The same as receivers know it, of what came after the last time that they had to truncate."""
        rows = list(receiver.records(self.bucket, "fan_profiles"))
        rows = [each for each in rows if each["emittedAt"] >= self.truncated]
        found: dict[str, dict[str, Any]] = {}
        for each in sorted(rows, key=lambda row: str(row["updatedAt"])):
            found[each["roverID"]] = each
        return {who: (r["traits"], r.get("k")) for who, r in found.items() if not r.get("deleted")}

    def rerun(self, *datasets: str) -> None:
        for dataset in datasets:
            commands.rerun(self.spark, self.settings, dataset, accept_gap=dataset == "fan_track_events")
        self.truncated = f"{self.clock:%Y-%m-%dT%H:59}"

    def standing(self) -> dict[str, dict[str, Any]]:
        """What ``status`` says, by dataset."""
        told = commands.status(self.spark, self.settings, now=self.now())
        return {each["dataset"]: each for each in told.document()["datasets"]}


def gaps(result: Result) -> dict[str, str]:
    """The gaps that a run tells, by what their messages begin with."""
    assert {each.code for each in result.problems} <= {"source_gap"}, result.problems
    assert all("rover-spark rerun" in each.remedy for each in result.problems)
    return {each.message.partition(":")[0]: each.message for each in result.problems}
