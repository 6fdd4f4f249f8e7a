"""A bucket as a tree: what the sample company's receiver finds."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from rich.tree import Tree

from rover_spark.console import plain, size
from rover_spark.heads import BatchRecord

_BRANCHES = 6


def bucket_tree(
    title: str, records: Iterable[BatchRecord], width: int = 220, depth: int | None = None
) -> Tree:
    """The bucket as receivers see it: folders with counts and sizes, the first files of each, cut to the width.

    With ``depth`` only the folders down to there.
    """
    tree = Tree(plain(title))
    folders: dict[tuple[str, ...], list[tuple[str, int, int]]] = {}
    for record in records:
        for file in record.files:
            *parents, name = file.key.split("/")
            folders.setdefault(tuple(parents[:depth]), []).append((name, file.records, file.bytes))
    nodes: dict[tuple[str, ...], Tree] = {(): tree}
    for path, files in sorted(folders.items()):
        for level in range(1, len(path) + 1):
            here = path[:level]
            if here not in nodes:
                below = [
                    each for other, inside in folders.items() if other[:level] == here for each in inside
                ]
                nodes[here] = nodes[here[:-1]].add(_branch(f"{here[-1]}/", below, bold=True))
        if depth is not None:
            continue
        for each in sorted(files)[:_BRANCHES]:
            room = max(24, width - 4 * len(path) - 32)
            name = each[0] if len(each[0]) <= room else f"{each[0][: room - 14]}…{each[0][-13:]}"
            nodes[path].add(_branch(name, [each], bold=False))
        if len(files) > _BRANCHES:
            nodes[path].add(Text(f"… {len(files) - _BRANCHES} more files", style="dim"))
    return tree


def _branch(name: str, files: list[tuple[str, int, int]], *, bold: bool) -> Text:
    records, octets = sum(file[1] for file in files), sum(file[2] for file in files)
    text = plain(name)
    text.stylize("bold blue" if bold else "")
    return Text.assemble(text, (f"  {records:,} records, {size(octets)}", "dim"))
