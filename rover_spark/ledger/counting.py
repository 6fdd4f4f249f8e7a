"""Which transitions of a long history still count, and which counts of batches are worth parsing. Pure.

Both engines use these rules: a dataset state is folded from these rows alone, whoever fetched them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rover_spark.model.dataset_state import ACCEPTED, FLOORS, REDELIVERED, RERUN

Row = Mapping[str, Any]
_RECENT = 6
_ALWAYS = {RERUN, ACCEPTED, "ABORTED"}
_DELIVERED = {"COMMITTED", "LOST"}
_PHASES = {"snapshot", "lost"}
_SOME_FLOORS = re.compile(rf'"{FLOORS}":\s*[1-9]')
_SOME_QUARANTINED = re.compile(r'"quarantined":\s*[1-9]')


def still_counting(rows: Iterable[Row]) -> list[Row]:
    """Of each dataset the newest batches, the last delivered one, the last with a manifest (``manifest``) and the first that
    left floors; all that count for ever.

    These are snapshots, LOST ranges, reruns, accepted changes and aborted batches.
    """
    datasets: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        datasets[row["dataset"]].append(row)
    return [row for each in datasets.values() for row in _of_one_dataset(each)]


def _of_one_dataset(rows: Sequence[Row]) -> list[Row]:
    newest = max(row["transition"] for row in rows)
    last = max((row["seq"] for row in rows if row["seq"] is not None), default=0)
    done = [row for row in rows if row["state"] in _DELIVERED]
    delivered = max((row["seq"] for row in done if row["seq"] is not None), default=None)
    manifest = max((row["seq"] for row in rows if row.get("manifest")), default=None)
    floors = min((row["transition"] for row in done if _left_floors(row["counts"])), default=None)
    return [
        row
        for row in rows
        if row["state"] in _ALWAYS
        or row["phase"] in _PHASES
        or row["transition"] in {newest, floors}
        or (row["seq"] is not None and (row["seq"] > last - _RECENT or row["seq"] in {delivered, manifest}))
    ]


def _left_floors(counts: str | None) -> bool:
    return bool(counts and _SOME_FLOORS.search(counts))


def quarantined_by(row: Row) -> int:
    """How many rows a row of kind ``batch`` counts as quarantined; 0 but for the COMMITTED one, and once a batch."""
    # few of ten thousand batches have rows in the quarantine: a look at the text finds them, and only they are parsed
    if row["state"] != "COMMITTED" or row["note"] == REDELIVERED:
        return 0
    if not row["counts"] or not _SOME_QUARANTINED.search(row["counts"]):
        return 0
    return int(json.loads(row["counts"])["quarantined"])
