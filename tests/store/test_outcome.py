"""The publish decision table: total, the same for every adapter, and its laws (laws 1, 2, 8)."""

from __future__ import annotations

from itertools import product

import pytest

from rover_spark.errors import KeyTaken, PublishUnknown, StagedLost, StoreError
from rover_spark.model.file import StagedFile
from rover_spark.store.outcome import OVERWRITE, PUBLISH, Answer, Outcome, Seen, Table, settle

FILE = StagedFile("exports/one.ndjson.gz", 1, 1, "0" * 64, 1, "0" * 64, 0, 0, "staged")
CAUSE = StoreError("cannot publish", code="store_refused", remedy="Run export again.")
BLIND = StoreError("cannot look at", code="store_refused", remedy="Grant it.")
RAISED = {Outcome.TAKEN: KeyTaken, Outcome.LOST: StagedLost, Outcome.UNKNOWN: PublishUnknown}
TABLES = {"publish": PUBLISH, "overwrite": OVERWRITE}
CASES = [*product(TABLES, Answer, Seen)]
OURS = {Seen.OURS, Seen.EQUAL}


def cause_of(answer: Answer) -> StoreError | None:
    return None if answer is Answer.DONE else CAUSE


def settled(table: Table, answer: Answer, seen: Seen) -> Seen:
    def look() -> Seen:
        if seen is Seen.UNSEEN:
            raise BLIND
        return seen

    return settle(table, FILE, answer, cause_of(answer), None if seen is Seen.NOT_LOOKED else look)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_table_decides_every_case_and_gives_every_outcome(table: Table) -> None:
    assert set(table) == set(Answer)
    assert all(set(row) == set(Seen) for row in table.values())
    found = {outcome for row in table.values() for outcome in row.values()}
    assert found == (set(Outcome) if table is PUBLISH else set(Outcome) - {Outcome.TAKEN})


@pytest.mark.parametrize(("name", "answer", "seen"), CASES)
def test_every_case_returns_or_raises_what_the_table_says(name: str, answer: Answer, seen: Seen) -> None:
    outcome = TABLES[name][answer][seen]
    if outcome is Outcome.PUBLISHED:
        assert settled(TABLES[name], answer, seen) is seen
        return
    with pytest.raises(StoreError) as caught:
        settled(TABLES[name], answer, seen)
    assert type(caught.value) is RAISED[outcome]
    assert caught.value.remedy and caught.value.__cause__ is None


@pytest.mark.law(8)
@pytest.mark.parametrize(("name", "answer", "seen"), CASES)
def test_what_the_key_shows_counts_more_than_the_answer(name: str, answer: Answer, seen: Seen) -> None:
    outcome = TABLES[name][answer][seen]
    assert (outcome is Outcome.PUBLISHED) >= (seen in OURS), "an answer that was lost is looked up"
    if outcome is Outcome.PUBLISHED and seen not in OURS:
        assert (answer, seen) == (Answer.DONE, Seen.NOT_LOOKED)
    if outcome is Outcome.TAKEN:
        assert seen is Seen.OTHER and name == "publish"


@pytest.mark.parametrize(("name", "answer", "seen"), CASES)
def test_only_an_answer_that_says_so_makes_staged_bytes_lost(name: str, answer: Answer, seen: Seen) -> None:
    if TABLES[name][answer][seen] is Outcome.LOST:
        assert answer in {Answer.DONE, Answer.GONE}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_staged_bytes_that_are_gone_are_lost_unless_something_stands_at_the_key(table: Table) -> None:
    assert table[Answer.GONE][Seen.NOT_LOOKED] is table[Answer.GONE][Seen.FREE] is Outcome.LOST
    assert table[Answer.DONE][Seen.FREE] is Outcome.LOST, "a server that says DONE of an upload that is gone"


@pytest.mark.parametrize("answer", [each for each in Answer if each is not Answer.UNCLEAR])
def test_another_payload_at_the_key_is_taken_by_publish_and_never_by_overwrite(answer: Answer) -> None:
    assert PUBLISH[answer][Seen.OTHER] is Outcome.TAKEN
    assert OVERWRITE[answer][Seen.OTHER] is OVERWRITE[answer][Seen.FREE]


@pytest.mark.law(8)
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("seen", [each for each in Seen if each not in OURS])
def test_an_unclear_answer_is_unknown_unless_the_file_is_seen(name: str, seen: Seen) -> None:
    assert TABLES[name][Answer.UNCLEAR][seen] is Outcome.UNKNOWN


@pytest.mark.law(8)
@pytest.mark.parametrize("answer", Answer)
def test_a_look_that_fails_leaves_it_unknown_and_raises_the_error_that_says_more(answer: Answer) -> None:
    with pytest.raises(PublishUnknown) as caught:
        settled(PUBLISH, answer, Seen.UNSEEN)
    error = CAUSE if answer is Answer.UNCLEAR else BLIND
    assert caught.value.problem == error.problem, "code and remedy are those of what went wrong"
