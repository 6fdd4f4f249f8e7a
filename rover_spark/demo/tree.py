"""Draws a bucket as a tree: what the sample company's receiver finds."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from rich.tree import Tree

from rover_spark.face.console import plain
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.wording import counted, size

_BRANCHES = 6
_BESIDE = 44  # columns for branches, counts and size
_Files = list[tuple[str, int, int]]


def bucket_tree(
    title: str,
    records: Iterable[BatchRecord],
    width: int = 220,
    depth: int | None = None,
    prefix: str = "",
) -> Tree:
    """The bucket as receivers see it: folders with counts and sizes, and the first files of each, cut to the width.

    ``title`` names the place at ``prefix``, with which all keys begin. A folder that holds only one folder shares its
    line. ``depth`` limits the levels of folders; no files are shown then.
    """
    tree = Tree(plain(title))
    folders: dict[tuple[str, ...], _Files] = {}
    for record in records:
        for file in record.files:
            *parents, name = file.key.removeprefix(f"{prefix}/" if prefix else "").split("/")
            folders.setdefault(tuple(parents[:depth]), []).append((name, file.records, file.bytes))
    _grow(tree, (), folders, width, files=depth is None)
    return tree


def _grow(
    tree: Tree, path: tuple[str, ...], folders: dict[tuple[str, ...], _Files], width: int, *, files: bool
) -> None:
    for name in sorted(_inside(path, folders)):
        here = (*path, name)
        while here not in folders and len(_inside(here, folders)) == 1:
            here = (*here, *_inside(here, folders))
        below = [each for other, held in folders.items() if other[: len(here)] == here for each in held]
        node = tree.add(_branch(f"{'/'.join(here[len(path) :])}/", below, bold=True))
        _grow(node, here, folders, width, files=files)
    held = sorted(folders.get(path, ())) if files else []
    for each in held[:_BRANCHES]:
        room = max(24, width - _BESIDE)
        name = each[0] if len(each[0]) <= room else f"{each[0][: room - 14]}…{each[0][-13:]}"
        tree.add(_branch(name, [each], bold=False))
    if len(held) > _BRANCHES:
        tree.add(Text(f"… {counted(len(held) - _BRANCHES, 'more file')}", style="dim"))


def _inside(path: tuple[str, ...], folders: Iterable[tuple[str, ...]]) -> set[str]:
    return {other[len(path)] for other in folders if other[: len(path)] == path != other}


def _branch(name: str, files: _Files, *, bold: bool) -> Text:
    records, octets = sum(file[1] for file in files), sum(file[2] for file in files)
    text = plain(name)
    text.stylize("bold blue" if bold else "")
    return Text.assemble(text, (f"  {counted(records, 'record')}, {size(octets)}", "dim"))
