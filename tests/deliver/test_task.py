"""Arrow batches → staged files → manifest, called directly: no Spark, a store in memory or on disk."""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark import cloudpickle

from rover_spark.contract.keys import file_token, rover_key
from rover_spark.deliver.task import stage_batches as stage_rows
from rover_spark.deliver.watch import _by_file
from rover_spark.model.dataset_state import FLOORS
from rover_spark.model.manifest import BEFORE, OUTCOMES
from rover_spark.produce.currents.files import EventFiles
from rover_spark.produce.rover.files import RoverFiles
from rover_spark.produce.rover.plan import BatchPlan, Files
from rover_spark.store import Store, open_store
from tests.arranged import SCHEMA
from tests.plans import batch_plan, event_plan

Row = tuple[int, str, bool, str | None]
PLAN = batch_plan(
    files=Files(chunks=3, max_bytes=100, max_record_bytes=100, compression_level=1),
    destination="memory://stage",
    source_rows=0,
)


def stage_batches(
    rows: Iterable[pa.RecordBatch], plan: BatchPlan, store: Store, *notice: Any
) -> pa.RecordBatch:
    return stage_rows(rows, plan.batch, RoverFiles(plan), store, *notice)


def a_plan(max_bytes: int = 100) -> BatchPlan:
    return replace(PLAN, files=replace(PLAN.files, max_bytes=max_bytes))


def line(size: int, letter: str = "x") -> str:
    return letter * (size - 1) + "\n"


def row(chunk: int, size: int | None, outcome: str = "delivered", letter: str = "x") -> Row:
    return chunk, outcome, False, None if size is None else line(size, letter)


def batches(
    rows: Sequence[Row], size: int = 1000, *, sliced: bool = False, ids: Sequence[str | None] | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows as record batches of a size: built one by one, or cut from one, so that offsets are not zero.

    Each row has an id of its own where ``ids`` does not tell.
    """
    named = ids or [None if text is None else str(n) for n, (*_, text) in enumerate(rows)]
    columns = list(
        zip(*((*row[:3], False, name, row[3]) for row, name in zip(rows, named, strict=True)), strict=True)
    )
    columns = columns or [()] * 6
    whole = pa.record_batch(
        [pa.array(c, t) for c, t in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA
    )
    for start in range(0, len(rows), size):
        part = whole.slice(start, size)
        yield part if sliced else pa.RecordBatch.from_pylist(part.to_pylist(), schema=SCHEMA)


def staged(
    rows: Sequence[Row], plan: BatchPlan = PLAN, size: int = 1000, *, sliced: bool = False
) -> list[dict[str, Any]]:
    """The manifest's rows; in memory a reference is the bytes, so equal manifests are equal bytes."""
    store = open_store("memory://stage", plan.export)
    found: list[dict[str, Any]] = stage_batches(batches(rows, size, sliced=sliced), plan, store).to_pylist()
    return found


def files(manifest: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in manifest if entry["key"] is not None]


def tally(manifest: list[dict[str, Any]]) -> dict[str, int]:
    return {entry["counted"]: entry["rows"] for entry in manifest if entry["key"] is None}


def texts(manifest: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    """(chunk, part, text) of each file."""
    found = []
    for entry in files(manifest):
        data = base64.b64decode(entry["staged"])
        found.append((entry["chunk"], entry["part"], gzip.decompress(data).decode()))
    return found


def cut(rows: Sequence[Row], max_bytes: int) -> list[tuple[int, int, str]]:
    """What staging should give, row by row."""
    found: list[tuple[int, int, str]] = []
    for chunk, _, _, text in rows:
        if text is None:
            continue
        if found and found[-1][0] == chunk and len((found[-1][2] + text).encode()) <= max_bytes:
            found[-1] = (chunk, found[-1][1], found[-1][2] + text)
        else:
            part = found[-1][1] + 1 if found and found[-1][0] == chunk else 0
            found.append((chunk, part, text))
    return found


def test_what_is_told_beside_a_record_is_told_of_delivered_ones_and_a_floor_of_each() -> None:
    texts = ["a\n", "a\n", "b\n", "c\n"]
    marks = {
        "floor": [True, True, False, False],
        "mended": [True, True, False, True],
        "late": [True, True, True, False],
    }
    columns = {
        "chunk": [0] * 4,
        "outcome": ["delivered"] * 4,
        "id": ["1", "1", "1", "2"],
        "line": texts,
        **marks,
    }
    batch = pa.RecordBatch.from_pydict({**columns, "lateness": pa.array([7, 7, 9, 3], pa.int64())})

    class Files(RoverFiles):
        marks = (*RoverFiles(PLAN).marks, *EventFiles.marks[1:3])

    found = stage_rows(
        [batch], PLAN.batch, Files(PLAN), open_store("memory://marks", PLAN.export)
    ).to_pylist()
    assert tally(found) == {
        "delivered": 2, "superseded": 1, "conflict": 1, FLOORS: 2, "replaced": 2, "late": 1, "max_lateness_s": 7,
    }  # fmt: skip


def test_rows_that_are_no_records_are_counted_though_the_plan_has_no_chunk_for_them() -> None:
    """Of a commit that only deletes events there are rows, and no event that has a place in a file."""
    plan = event_plan(groups=())
    columns = {"chunk": [0, 0], "outcome": ["suppressed"] * 2, "id": [None] * 2, "line": [None] * 2}
    rest = {"mended": [False] * 2, "late": [False] * 2, "lateness": [0] * 2, "invalid_timezone": [False] * 2}
    types = {"line": pa.binary(), "id": pa.string(), "lateness": pa.int64()}
    rows = pa.record_batch(
        {name: pa.array(each, types.get(name)) for name, each in {**columns, **rest}.items()}
    )
    found = stage_rows([rows], plan.batch, EventFiles(plan, {}, {}), open_store("memory://none", plan.export))
    assert files(found.to_pylist()) == [] and tally(found.to_pylist())["suppressed"] == 2


@pytest.mark.parametrize(
    ("rows", "cuts"),
    [
        ([], []),
        ([row(0, 10), row(0, 10)], [(0, 0, 20)]),
        # at a change of chunk, though there is room
        ([row(0, 10), row(1, 10), row(1, 10), row(5, 10)], [(0, 0, 10), (1, 0, 20), (5, 0, 10)]),
        # before the limit would be passed; exactly at the limit is not past it
        ([row(0, 50), row(0, 50)], [(0, 0, 100)]),
        ([row(0, 50), row(0, 51)], [(0, 0, 50), (0, 1, 51)]),
        ([row(0, 40)] * 5, [(0, 0, 80), (0, 1, 80), (0, 2, 40)]),
        ([row(0, 100), row(0, 2)], [(0, 0, 100), (0, 1, 2)]),
        # parts begin anew in each chunk
        ([row(0, 60), row(0, 60), row(1, 60), row(1, 60)], [(0, 0, 60), (0, 1, 60), (1, 0, 60), (1, 1, 60)]),
        # a record larger than a file has one of its own
        ([row(0, 500)], [(0, 0, 500)]),
        ([row(0, 10), row(0, 500), row(0, 10)], [(0, 0, 10), (0, 1, 500), (0, 2, 10)]),
        ([row(0, 500), row(0, 500), row(1, 10)], [(0, 0, 500), (0, 1, 500), (1, 0, 10)]),
        ([row(0, 500), row(0, None, "no_change"), row(0, 10)], [(0, 0, 500), (0, 1, 10)]),
        # rows that are not delivered take no bytes
        ([row(0, 50), row(0, None, "no_change"), row(0, 50)], [(0, 0, 100)]),
        ([row(0, None, "superseded"), row(0, 100), row(0, None, BEFORE)], [(0, 0, 100)]),
        # no file for a chunk without records
        ([row(0, None, "no_change"), row(1, 10), row(2, None, "quarantined")], [(1, 0, 10)]),
        ([row(0, None, "no_change")] * 3, []),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_where_a_file_ends(rows: list[Row], cuts: list[tuple[int, int, int]], size: int) -> None:
    found = texts(staged(rows, size=size))
    assert [(chunk, part, len(text)) for chunk, part, text in found] == cuts
    assert "".join(text for _, _, text in found) == "".join(text or "" for _, _, _, text in rows)


rows_in_order = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["delivered", "delivered", "no_change", BEFORE]),
        st.booleans(),
        st.text("aé😀", max_size=12).map(lambda text: text + "\n"),
    ),
    max_size=25,
).map(
    lambda rows: [
        (c, o, f, t if o == "delivered" else None) for c, o, f, t in sorted(rows, key=lambda r: r[0])
    ]
)


@settings(deadline=None)
@given(
    rows=rows_in_order,
    max_bytes=st.integers(1, 60),
    size=st.sampled_from([1, 2, 3, 7, 1000]),
    sliced=st.booleans(),
)
def test_files_are_cut_where_counting_row_by_row_says(
    rows: list[Row], max_bytes: int, size: int, sliced: bool
) -> None:
    manifest = staged(rows, a_plan(max_bytes), size, sliced=sliced)
    assert texts(manifest) == cut(rows, max_bytes)
    # and the same bytes, keys, hashes and tallies as if all had come in one batch
    assert manifest == staged(rows, a_plan(max_bytes))


MANY = [
    (
        n // 700,
        "delivered" if n % 5 else "no_change",
        False,
        line(900 + n % 37, chr(97 + n % 26)) if n % 5 else None,
    )
    for n in range(2100)
]
TWO_BLOCKS = 1_300_000


@pytest.fixture(scope="module")
def all_at_once() -> list[dict[str, Any]]:
    return staged(MANY, a_plan(TWO_BLOCKS), len(MANY))


@pytest.mark.law(4)
@pytest.mark.parametrize("sliced", [True, False])
@pytest.mark.parametrize("size", [1, 7, 1000, len(MANY)])
def test_the_bytes_do_not_depend_on_the_size_of_the_batches(
    size: int, sliced: bool, all_at_once: list[dict[str, Any]]
) -> None:
    assert len(files(all_at_once)) == 3
    assert staged(MANY, a_plan(TWO_BLOCKS), size, sliced=sliced) == all_at_once


def test_the_manifest_describes_each_file() -> None:
    first, second = files(staged([row(4, 60), row(4, 30), row(4, 60)]))
    data, text = base64.b64decode(first["staged"]), (line(60) + line(30)).encode()
    assert first["key"] == rover_key(
        "", "fan_profiles", PLAN.emitted_at, file_token("acme", 1, "fan_profiles", PLAN.batch, 4, 0)
    )
    assert second["key"] == rover_key(
        "", "fan_profiles", PLAN.emitted_at, file_token("acme", 1, "fan_profiles", PLAN.batch, 4, 1)
    )
    assert (first["chunk"], first["part"], first["records"]) == (4, 0, 2)
    assert (first["bytes"], first["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (first["raw_bytes"], first["raw_sha256"]) == (90, hashlib.sha256(text).hexdigest())
    assert (second["part"], second["records"], second["raw_bytes"]) == (1, 1, 60)


def test_a_key_begins_with_the_prefix_of_the_destination() -> None:
    plan = replace(PLAN, destination="memory://stage/some/prefix")
    store = open_store(plan.destination, "acme")
    (entry,) = files(stage_batches(batches([row(0, 10)]), plan, store).to_pylist())
    assert entry["key"].startswith("some/prefix/exports/fan_profiles/date=2026-11-21/hour=10/")


@pytest.mark.law(9)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_every_row_is_tallied_under_its_outcome(size: int) -> None:
    rows = [row(0, 10)] * 5 + [row(0, None, outcome) for outcome in (*OUTCOMES[1:], BEFORE) for _ in range(2)]
    rows[0] = (0, "delivered", True, line(10))
    rows[7] = (*rows[7][:2], True, None)
    rows.append(row(9, None, "quarantined"))
    counted = tally(staged(rows, size=size))
    assert counted == {**dict.fromkeys((*OUTCOMES, BEFORE), 2), "delivered": 5, "quarantined": 3, FLOORS: 2}


REPEATS = [  # id, line → outcome
    ("a", "1", "delivered"),
    ("b", "1", "delivered"),
    ("b", "1", "superseded"),
    ("b", "2", "conflict"),
    ("b", "1", "superseded"),
    (None, None, "no_change"),
    (None, None, "no_change"),
    ("c", "1", "delivered"),
    ("d", "1", "delivered"),
    ("d", "2", "conflict"),
    ("d", "2", "conflict"),
]


@pytest.mark.parametrize("sliced", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1000])
def test_of_records_with_one_id_the_first_is_delivered(size: int, sliced: bool) -> None:
    rows = [
        (0, "delivered" if text else "no_change", False, text and f"{name}{text}\n")
        for name, text, _ in REPEATS
    ]
    parts = batches(rows, size, sliced=sliced, ids=[name for name, _, _ in REPEATS])
    manifest = stage_batches(parts, a_plan(1000), open_store("memory://stage", "acme")).to_pylist()
    assert tally(manifest) == Counter(outcome for _, _, outcome in REPEATS)
    assert texts(manifest) == [(0, 0, "a1\nb1\nc1\nd1\n")]
    assert [entry["records"] for entry in files(manifest)] == [4]


def test_the_records_of_the_files_are_the_delivered_rows() -> None:
    rows = [row(n // 10, 30 if n % 3 else None, "delivered" if n % 3 else "no_change") for n in range(40)]
    manifest = staged(rows)
    assert sum(entry["records"] for entry in files(manifest)) == tally(manifest)["delivered"]


@pytest.mark.law(10)
def test_batches_without_rows_change_nothing() -> None:
    empty = pa.RecordBatch.from_pylist([], schema=SCHEMA)
    store = open_store("memory://stage", "acme")
    parts = list(batches([row(0, 10), row(1, 10)], 1))
    mixed = [empty, parts[0], empty, empty, parts[1], empty]
    assert stage_batches(mixed, PLAN, store).to_pylist() == staged([row(0, 10), row(1, 10)])
    assert stage_batches([empty], PLAN, store).num_rows == 0
    assert stage_batches([], PLAN, store).num_rows == 0


def test_large_strings_give_the_same_bytes() -> None:
    rows = [row(0, 60), row(0, None, "no_change"), row(0, 60)]
    wide = SCHEMA.set(5, pa.field("line", pa.large_string()))
    given_wide = [batch.cast(wide) for batch in batches(rows)]
    store = open_store("memory://stage", "acme")
    assert stage_batches(given_wide, PLAN, store).to_pylist() == staged(rows)


def test_progress_is_told_once_an_arrow_batch_and_once_a_file() -> None:
    told: list[tuple[int, int, int]] = []
    store = open_store("memory://stage", "acme")
    stage_batches(
        batches([row(0, 60), row(0, 60), row(1, 10), row(1, 10)]), PLAN, store, lambda *n: told.append(n)
    )
    assert told == [(4, 0, 0), (0, 1, 60), (0, 1, 60), (0, 1, 20)], "rows, files, bytes"


# -- on a disk -----------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}", "acme")


def on_disk(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.law(2)
def test_nothing_is_visible_after_staging_and_two_tries_do_not_meet(disk: Store, tmp_path: Path) -> None:
    rows = [row(0, 60), row(0, 60), row(1, 10)]
    one, two = (stage_batches(batches(rows), PLAN, disk).to_pylist() for _ in range(2))
    assert list(disk.listing("")) == []
    assert len(on_disk(tmp_path)) == 6
    references = [{entry["staged"] for entry in files(manifest)} for manifest in (one, two)]
    assert references[0].isdisjoint(references[1])
    assert [{**entry, "staged": None} for entry in one] == [{**entry, "staged": None} for entry in two]
    for entry in files(one):
        assert hashlib.sha256((tmp_path / entry["staged"]).read_bytes()).hexdigest() == entry["sha256"]


ROWS = [row(0, 60), row(0, 60), row(1, 60), row(1, 60), row(2, 60)]


@pytest.mark.law(7)
@pytest.mark.parametrize("after", range(len(ROWS) + 1))
def test_an_exception_in_mid_stream_leaves_nothing_staged(disk: Store, tmp_path: Path, after: int) -> None:
    def torn() -> Iterator[pa.RecordBatch]:
        yield from list(batches(ROWS, 1))[:after]
        raise RuntimeError("the reader died")

    other = stage_batches(batches([row(7, 10)]), PLAN, disk).to_pylist()
    with pytest.raises(RuntimeError, match="the reader died"):
        stage_batches(torn(), PLAN, disk)
    # only what another task staged is there still
    assert [path.relative_to(tmp_path).as_posix() for path in on_disk(tmp_path)] == [other[0]["staged"]]


@pytest.mark.law(7)
def test_a_task_that_is_killed_politely_leaves_nothing_staged(disk: Store, tmp_path: Path) -> None:
    def interrupted() -> Iterator[pa.RecordBatch]:
        yield from batches(ROWS)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage_batches(interrupted(), PLAN, disk)
    assert on_disk(tmp_path) == []


@pytest.mark.law(9)
def test_an_outcome_that_no_rule_knows_is_not_counted_silently(disk: Store, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="invented"):
        stage_batches(batches([row(0, 60), row(0, 60), row(0, None, "invented")], 1), PLAN, disk)
    assert on_disk(tmp_path) == []


def test_progress_moves_with_rows_while_the_first_file_is_still_open(disk: Store) -> None:
    plan, seen = a_plan(1_000_000), []
    with _by_file(NamedTemporaryFile()) as (notice, done):
        sent = cloudpickle.loads(cloudpickle.dumps(notice))  # as a task gets it

        def streaming() -> Iterator[pa.RecordBatch]:
            for batch in batches([row(0, 60)] * 6 + [row(0, None, "quarantined")] * 2, 2):
                seen.append(done())
                yield batch

        stage_batches(streaming(), plan, disk, sent)
        seen.append(done())
    assert [(each.rows, each.files) for each in seen] == [(0, 0), (2, 0), (4, 0), (6, 0), (8, 1)]
    assert seen[-1].bytes == 6 * 60


def test_progress_that_is_half_written_waits_for_its_rest() -> None:
    with NamedTemporaryFile() as full, _by_file(full) as (notice, done):
        notice(3, 0, 30)
        whole = Path(full.name).read_bytes()
        with Path(full.name).open("ab") as disk:  # as a full disk takes a part of a write
            disk.write(whole[:7])
            disk.flush()
            assert (done().rows, done().rows) == (3, 3)
            disk.write(whole[7:])
            disk.flush()
            assert done().rows == 6


def test_a_notice_that_fails_leaves_nothing_staged(disk: Store, tmp_path: Path) -> None:
    def told(*_: int) -> None:
        raise RuntimeError("no accumulator")

    with pytest.raises(RuntimeError, match="no accumulator"):
        stage_batches(batches(ROWS), PLAN, disk, told)
    assert on_disk(tmp_path) == []


@pytest.mark.parametrize("size", [500, 20_000])
def test_ids_that_repeat_in_the_order_of_a_data_file_are_delivered_once(tmp_path: Path, size: int) -> None:
    drawn = random.Random(3)
    ids = [f"{drawn.randrange(8_000):032x}" for _ in range(10_000)]
    store = open_store(f"file://{tmp_path}", "acme")
    rows = batches([row(0, 40) for _ in ids], size, ids=ids)
    plan = a_plan(1 << 30)
    found = stage_rows(rows, plan.batch, RoverFiles(plan), store, by_id=False).to_pylist()
    counts = {entry["counted"]: entry["rows"] for entry in found if entry["counted"]}
    (file,) = (entry for entry in found if entry["key"])
    assert file["records"] == counts["delivered"] == len(set(ids))
    assert file["raw_bytes"] == 40 * len(set(ids))
    assert counts["superseded"] == len(ids) - len(set(ids))
