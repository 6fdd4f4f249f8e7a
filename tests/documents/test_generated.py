"""What `make docs` made still holds: exactly, where it is read off the project; in its shape, where a run gave it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.contenders import KINDS
from tests.bench.rounds import Plan
from tests.documents import blocks, codes, measured
from tests.documents.__main__ import READ, RUN
from tests.documents.laws import laws, marked

BLOCKS = blocks.blocks()


def test_every_block_has_a_maker() -> None:
    assert sorted(BLOCKS) == sorted((*READ, *RUN, *measured.MEASURED, "bench-scale", "bench-load"))


@pytest.mark.parametrize("name", READ)
def test_what_is_read_off_the_project_is_up_to_date(name: str) -> None:
    assert BLOCKS[name] == READ[name](), 'stale: run make docs ARGS="--read-only"'


def test_every_error_code_has_a_meaning_and_nothing_else_has_one() -> None:
    names = {each.code for each in codes.found()}
    assert len(names) > 60 and names == set(codes.MEANINGS) and names > set(codes.EXITS)


def test_every_module_and_folder_that_the_architecture_names_exists() -> None:
    page = (blocks.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {each for each in re.findall(r"`([\w./-]+)`", page) if each.endswith((".py", ".toml", "/"))}
    roots = (blocks.ROOT, blocks.ROOT / "rover_spark")
    assert len(named) > 15
    assert not [each for each in sorted(named) if not any((root / each).exists() for root in roots)]


def test_every_law_has_a_test() -> None:
    assert {law for law, _, _ in marked()} == set(range(1, 11))
    assert laws().count("\n### ") == 9, "the README has ten laws, and the first begins the text"


@pytest.mark.parametrize("name", measured.PARTS)
def test_a_table_of_figures_has_the_shape_that_make_docs_gives_it(name: str) -> None:
    contenders = KINDS[name.partition(",")[0]].contenders
    plan = Plan(name.partition(",")[0], contenders, (1_000_000, 5_000_000), 3, False, "2g", blocks.ROOT)
    figures = dict.fromkeys(("cpu", "wall", "jvm", "driver", "worker", "bytes", "files"), 1.0)
    runs = {each.name: {size: [figures] for size in plan.sizes} for each in contenders}
    heads = [
        [line for line in blocks.shape(text) if line.startswith("|")][:1]
        for text in (BLOCKS[measured.block(name)], measured.made(report.part(plan, runs, {})))
    ]
    assert heads[0] == heads[1]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("29 files, 26,835 records, 1.3 MB", "1 file, 1 record, 130 B", True),
        ("at most 1 h 28 min;", "at most 59 min;", True),
        ("fan_profiles.1.1  snapshot  2  2026-11-28T17:39:10", "fan_profiles.1.1 snapshot 12 2026-01-01T00:00:00", True),
        ("    {'a': 1}", "    {'b': 2}", True),
        ("fan_profiles-20261128T201712Z-part-7896eafc84953e5919705fb26d1fa0de", "fan_profiles-20260101T000000Z-part-00006eafc84953e5919705fb26d1fa0de", True),
        ("batch  state  files", "batch  state  files  size", False),
        ("done", "failed", False),
        ("nothing to do", "done\nnothing to do", False),
    ],
)  # fmt: skip
def test_a_shape_leaves_out_numbers_and_nothing_else(one: str, other: str, same: bool) -> None:
    assert (blocks.shape(one) == blocks.shape(other)) is same


def test_a_text_goes_into_its_block_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "1\n<!-- output: x -->\nold\n<!-- /output: x -->\n2\n<!-- output: y -->\n<!-- /output: y -->\n3\n"
    )
    monkeypatch.setattr(blocks, "PAGES", (page,))
    assert blocks.replace({"x": "new \\1\n"}) == [page] and blocks.replace({}) == []
    assert blocks.blocks() == {"x": "new \\1\n", "y": ""}
    assert page.read_text() == (
        "1\n<!-- output: x -->\nnew \\1\n<!-- /output: x -->\n2\n<!-- output: y -->\n<!-- /output: y -->\n3\n"
    )
