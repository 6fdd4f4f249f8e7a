"""One fan's records across the datasets, as a receiver finds them in the bucket."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from rover_spark.contract.rover import DATASETS
from rover_spark.face.console import plain
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.wording import counted
from rover_spark.store import Store

_SHOWN = 3
_MOST = 200_000_000  # bytes before compression: reading more takes too long for a demo


def one_fan(store: Store, delivered: Sequence[BatchRecord], width: int) -> Text | None:
    """The records of the fan who is in most datasets; None where there is too much to read.

    They are in order of delivery, without their envelope, each cut to the width.
    """
    if sum(file.raw_bytes for batch in delivered for file in batch.files) > _MOST:
        return None
    records = [(batch.dataset, *_read(line)) for batch in delivered for line in _lines(store, batch)]
    fan = _chosen((fans[0], dataset) for dataset, fans, _ in records)
    if fan is None:
        return None
    lines = [Text.assemble(("One fan across the datasets: ", "bold"), plain(fan))]
    for dataset in DATASETS:
        mine = [own for name, fans, own in records if name == dataset and fan in fans]
        lines.append(Text.assemble(f"  {dataset}", (f"  {counted(len(mine), 'record')}", "dim")))
        for record in mine[:_SHOWN]:
            text = plain(record)
            text.truncate(max(width - 4, 20), overflow="ellipsis")
            lines.append(Text.assemble("    ", text))
        if len(mine) > _SHOWN:
            lines.append(Text(f"    … {len(mine) - _SHOWN:,} more", style="dim"))
    return Text("\n").join(lines)


def _lines(store: Store, batch: BatchRecord) -> Iterator[str]:
    for file in batch.files:
        with store.read(file.key) as stream, gzip.open(stream, "rt", encoding="utf-8", newline="\n") as lines:
            yield from lines


def _read(line: str) -> tuple[tuple[str, str], str]:
    """The ids of a record, and its text after the envelope, exactly as it was delivered."""
    record = json.loads(line)
    _, _, behind = line.partition(f'"emittedAt":"{record["emittedAt"]}",')
    return (record["roverID"], record.get("mergedRoverID", "")), f"{{{behind.rstrip()}"


def _chosen(records: Iterable[tuple[str, str]]) -> str | None:
    worth: Counter[str] = Counter()
    for (fan, _), count in Counter(records).items():
        worth[fan] += 10 + min(count, _SHOWN)  # one more dataset counts more than any number of records
    return min(worth, key=lambda fan: (-worth[fan], fan), default=None)
