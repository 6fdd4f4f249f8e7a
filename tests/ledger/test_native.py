"""The ledger's table by ``deltalake`` alone: no Spark in this file. Lost answers, failures, damage, and what is read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rover_spark.config.access import TableAccess
from rover_spark.contract.manifests import Previous
from rover_spark.delta import credentials, storage
from rover_spark.delta.native_errors import NativeFailed, native_errors
from rover_spark.delta.session import Session
from rover_spark.delta.storage import Reached
from rover_spark.errors import ConfigError, LedgerConflict, RunError
from rover_spark.ledger import storage as found_by
from rover_spark.ledger.counting import quarantined_by, still_counting
from rover_spark.ledger.rows import COMPLETION
from rover_spark.ledger.storage import native
from rover_spark.ledger.table import Ledger
from rover_spark.model.dataset_state import DatasetState
from rover_spark.model.file import StagedFile
from rover_spark.produce.port import decode
from tests.plans import batch_plan

deltalake = pytest.importorskip("deltalake")
PLAN = batch_plan()
NAME = PLAN.dataset


class AskedForSpark(Exception):
    """The ledger left the native engine."""


def no_spark() -> Any:
    raise AskedForSpark


def opened(place: Path | str, *, create: bool = True, access: TableAccess | None = None) -> Ledger:
    ledger = Ledger(Session(no_spark), str(place), "acme", decode, access or TableAccess(engine="auto"))
    ledger.open(create=create)
    return ledger


def versions(place: Path) -> int:
    found: int = deltalake.DeltaTable(str(place)).version()
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "control" / "led ger #1"


def test_a_batch_goes_from_planned_to_committed_in_as_many_commits_as_transitions(place: Path) -> None:
    ledger = opened(place)
    files = [StagedFile(f"k{n}", 1, 2, f"sha'{n}", 3, f"raw{n}", n, 0, f"staged{n}") for n in range(3)]
    state = ledger.record(DatasetState(), PLAN, "PLANNED")
    state = ledger.record(state, PLAN, "STAGED", counts={"read": 3}, files=files, floors=2)
    ledger.record_published(state, PLAN, files[:1])
    state = ledger.record(state, PLAN, "COMMITTED", counts={"read": 3, "quarantined": 2}, note="it's done")
    assert versions(place) == 4, "one commit each, after the one that made the table"
    (record,) = opened(place, create=False).batches(PLAN.batch)
    assert (record.files, record.published, record.plan) == (tuple(files), {"k0"}, PLAN)
    assert (record.state, record.note, record.counts["quarantined"]) == ("COMMITTED", "it's done", 2)
    assert ledger.dataset_states()[NAME].last == PLAN and ledger.quarantined() == {NAME: 2}
    assert (
        ledger.instants() == {(NAME, PLAN.instant)} and ledger.schemas() == [] and ledger.superseded() == {}
    )
    other = Ledger(Session(no_spark), str(place), "an'other", decode, TableAccess(engine="auto"))
    other.open(create=False)
    assert (other.transitions(), other.batches(), other.quarantined()) == ([], [], {})


def test_an_earlier_try_is_superseded_where_the_later_one_did_not_take_its_file_over(place: Path) -> None:
    ledger = opened(place)
    first = [StagedFile(f"k{n}", 1, 2, "s", 3, "r", n, 0, f"first{n}") for n in range(3)]
    state = ledger.record(DatasetState(), PLAN, "STAGED", files=first)
    ledger.record(state, PLAN, "STAGED", files=[first[0], replace(first[1], staged="later"), first[2]])
    assert ledger.superseded() == {PLAN.batch: {"first1"}}


def _manifest(seq: int, sha256: str, staged: str = "") -> list[StagedFile]:
    """The manifest of a batch, after another form of it."""
    return [
        StagedFile(f"{form}{seq}", 0, 2, sha256, 2, sha256, 0, part, f"{staged}{form}{seq}")
        for part, form in enumerate(("list", "manifest"))
    ]


def _deliver(ledger: Ledger, state: DatasetState, seq: int, files: int = 1) -> DatasetState:
    plan = replace(PLAN, seq=seq, phase="changes", instant=PLAN.instant + seq)
    staged = [StagedFile(f"k{seq}.{n}", 1, 2, "s", 3, "r", n, 0, f"s{seq}.{n}") for n in range(files)]
    state = ledger.record(state, plan, "PLANNED")
    state = ledger.record(
        state, plan, "STAGED", files=staged, completion=_manifest(seq, f"sha{seq}") if files else ()
    )
    return ledger.record(state, plan, "COMMITTED").after(plan)


def test_a_manifest_is_recorded_with_its_batch_and_is_none_of_its_files(place: Path) -> None:
    ledger = opened(place)
    state = _deliver(ledger, DatasetState(), 1, files=2)
    (record,) = opened(place, create=False).batches()
    assert [file.key for file in record.files] == ["k1.0", "k1.1"]
    assert list(record.completion) == _manifest(1, "sha1"), "in the order of publishing"
    assert state.manifest == ledger.dataset_states()[NAME].manifest == Previous("manifest1", "sha1")


def test_the_manifest_before_is_known_behind_any_number_of_batches_that_have_none(place: Path) -> None:
    ledger, state = opened(place), DatasetState()
    for seq in range(1, 12):
        state = _deliver(ledger, state, seq, files=seq <= 2)
    assert state.manifest == opened(place, create=False).dataset_states()[NAME].manifest
    assert state.manifest == Previous("manifest2", "sha2")


def test_a_redelivered_batch_is_no_newer_manifest_but_its_own_bytes_count(place: Path) -> None:
    ledger, state = opened(place), DatasetState()
    for seq in range(1, 4):
        state = _deliver(ledger, state, seq, files=seq <= 2)
    old, newest = (replace(PLAN, seq=seq, phase="changes") for seq in (1, 2))
    state = ledger.record(
        state, old, "COMMITTED", completion=_manifest(1, "new1", "again"), note="redelivered"
    )
    assert ledger.dataset_states()[NAME].manifest == Previous("manifest2", "sha2")
    state = ledger.record(state, newest, "COMMITTED", completion=_manifest(2, "new2"), note="redelivered")
    assert ledger.dataset_states()[NAME].manifest == Previous("manifest2", "new2")
    assert ledger.batches(old.batch)[0].completion == tuple(_manifest(1, "new1", "again"))
    assert ledger.superseded(COMPLETION) == {old.batch: {"list1", "manifest1"}}


def test_where_there_is_no_ledger_none_is_made_to_look_for_one(place: Path) -> None:
    ledger = opened(place, create=False)
    assert not ledger.exists and ledger.transitions() == [] and not place.parent.exists()


@pytest.mark.law(8)
@pytest.mark.parametrize("writes", [True, False])
def test_after_a_lost_answer_the_ledger_is_asked_whether_the_commit_is_there(
    place: Path, monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    ledger, write = opened(place), deltalake.write_deltalake

    def lost(*args: Any, **named: Any) -> None:
        if writes:
            write(*args, **named)
        raise OSError("connection reset by peer")

    monkeypatch.setattr(deltalake, "write_deltalake", lost)
    if writes:
        assert ledger.record(DatasetState(), PLAN, "PLANNED").transition == 1
    else:
        with pytest.raises(RunError, match="could not record transition 1: connection reset") as failure:
            ledger.record(DatasetState(), PLAN, "PLANNED")
        assert (failure.value.code, type(failure.value)) == ("ledger_failed", RunError)
        assert "this passes (the network failed)" in failure.value.remedy
    assert len(ledger.transitions()) == writes


@pytest.mark.law(6)
def test_of_two_handles_at_one_version_the_second_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked at the newest transition before either commits, as two processes do."""
    first, second, write = opened(place), opened(place), deltalake.write_deltalake

    def overtaken(*args: Any, **named: Any) -> None:
        monkeypatch.setattr(deltalake, "write_deltalake", write)
        second.record(DatasetState(), replace(PLAN, source_rows=7), "PLANNED")
        write(*args, **named)

    monkeypatch.setattr(deltalake, "write_deltalake", overtaken)
    monkeypatch.setattr(native, "locked", _no_lock)
    with pytest.raises(LedgerConflict):
        first.record(DatasetState(), PLAN, "PLANNED")
    (only,) = first.transitions()
    assert only.record.plan is not None and only.record.plan.source_rows == 7


def _no_lock(path: Path | None) -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_commits_of_other_datasets_and_compactions_in_between_are_no_conflict(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, write = opened(place), opened(place), deltalake.write_deltalake
    for n in range(3):
        second.record(DatasetState(n), replace(PLAN, dataset="earlier"), "PLANNED")

    def overtaken(*args: Any, **named: Any) -> None:
        monkeypatch.setattr(deltalake, "write_deltalake", write)
        second.record(DatasetState(), replace(PLAN, dataset="other"), "PLANNED")
        second._open_storage.compact()
        write(*args, **named)

    monkeypatch.setattr(deltalake, "write_deltalake", overtaken)
    monkeypatch.setattr(native, "locked", _no_lock)
    first.record(DatasetState(), PLAN, "PLANNED")
    assert len(first.transitions()) == 5 and set(first.dataset_states()) == {"earlier", "other", NAME}


def test_a_long_history_is_compacted_and_nothing_is_removed_from_the_disk(place: Path) -> None:
    ledger, state = opened(place), DatasetState()
    for _ in range(native.NativeStorage.compact_every):
        state = ledger.record(state, PLAN, "PLANNED")
    kept = deltalake.DeltaTable(str(place)).file_uris()
    assert len(kept) == 1 and len(list(place.rglob("*.parquet"))) > state.transition
    assert len(ledger.transitions()) == state.transition


def test_a_plan_is_decoded_once_however_often_the_ledger_is_read(place: Path) -> None:
    decoded: list[str] = []

    def counted(text: str) -> Any:
        decoded.append(text)
        return decode(text)

    state = opened(place).record(DatasetState(), PLAN, "PLANNED")
    ledger = Ledger(Session(no_spark), str(place), "acme", counted, TableAccess(engine="auto"))
    ledger.open(create=False)
    for name in ("STAGED", "COMMITTED"):
        assert ledger.dataset_states()[NAME].open == PLAN
        state = opened(place).record(state, PLAN, name, counts={})  # type: ignore[arg-type]
    later = replace(PLAN, seq=2)
    opened(place).record(state, later, "PLANNED")
    assert (ledger.dataset_states()[NAME].last, ledger.dataset_states()[NAME].open) == (PLAN, later)
    assert len(decoded) == 2


def test_only_the_plans_that_still_count_are_kept(place: Path) -> None:
    """A ledger is read for days by ``--every``, and a plan may be large."""
    writer, reader = opened(place), opened(place)
    state = DatasetState()
    for seq in range(1, 10):
        plan = replace(PLAN, seq=seq, phase="changes")
        for name in ("PLANNED", "STAGED", "COMMITTED"):
            state = writer.record(state, plan, name, counts={})  # type: ignore[arg-type]
        assert reader.dataset_states()[NAME].last == plan
    assert set(reader._plans) == {each.record.batch for each in reader.transitions() if each.record}
    assert plan.batch in reader._plans and len(reader._plans) < 9


def test_a_handle_whose_next_commits_were_cleaned_is_opened_anew(place: Path) -> None:
    ledger = opened(place)
    state = ledger.record(DatasetState(), PLAN, "PLANNED")
    for name in ("STAGED", "COMMITTED"):
        state = opened(place).record(state, PLAN, name, counts={})  # type: ignore[arg-type]
    deltalake.DeltaTable(str(place)).create_checkpoint()
    for version in range(3):
        (place / "_delta_log" / f"{version:020}.json").unlink()
    assert ledger.dataset_states()[NAME].last == PLAN
    with pytest.raises(LedgerConflict):
        ledger.record(replace(state, transition=1), PLAN, "ABORTED")


def test_another_table_and_a_newer_ledger_are_left_alone(tmp_path: Path) -> None:
    import pyarrow as pa

    deltalake.write_deltalake(str(tmp_path / "t"), pa.table({"x": [1]}))
    with pytest.raises(ConfigError, match="not a ledger") as foreign:
        opened(tmp_path / "t")
    opened(tmp_path / "l")
    first = tmp_path / "l" / "_delta_log" / f"{0:020}.json"
    first.write_text(first.read_text().replace('"rover_spark.format":"1"', '"rover_spark.format":"2"'))
    with pytest.raises(ConfigError, match="has format 2") as newer:
        opened(tmp_path / "l")
    assert (foreign.value.code, newer.value.code) == ("ledger_foreign", "ledger_newer")


def _without_a_column(place: Path) -> None:
    first = place / "_delta_log" / f"{0:020}.json"
    first.write_text(first.read_text().replace('\\"note\\"', '\\"nota\\"'))


def _cut_checkpoint(place: Path) -> None:
    deltalake.DeltaTable(str(place)).create_checkpoint()
    (found,) = place.glob("_delta_log/*.checkpoint.parquet")
    found.write_bytes(found.read_bytes()[:100])
    for commit in place.glob("_delta_log/*.json"):
        commit.unlink()


def _no_first_commit(place: Path) -> None:
    (place / "_delta_log" / f"{0:020}.json").unlink()


def _no_json(place: Path) -> None:
    (place / "_delta_log" / f"{1:020}.json").write_text('{"add": ')


def _more_features(place: Path) -> None:
    first = place / "_delta_log" / f"{0:020}.json"
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors"],
    }
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    lines = [{"protocol": protocol} if "protocol" in line else line for line in lines]
    first.write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.parametrize(
    "damage", [_without_a_column, _cut_checkpoint, _no_first_commit, _no_json, _more_features]
)
def test_what_cannot_be_opened_or_must_not_be_written_is_left_to_spark(
    place: Path, damage: Callable[[Path], None]
) -> None:
    opened(place).record(DatasetState(), PLAN, "PLANNED")
    damage(place)
    with pytest.raises(AskedForSpark):
        opened(place)


THERE = "s3://bucket/control/acme"
FAILURES = {
    "Error performing GET, after 5 retries SlowDown": "a server was too busy",
    "HTTP error error sending request": "the network failed",
    "Server returned non-2xx status code ExpiredToken": "Let this role read it",
    "403 Forbidden AccessDenied": "Let this role read it",
    "Kernel error: Json error": "Run it again",
}


@pytest.fixture
def spark_for_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_by, "_said", set())
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)


@pytest.mark.law(6)
@pytest.mark.parametrize("text", FAILURES)
def test_a_ledger_in_a_bucket_is_never_left_to_spark_for_a_failure(
    monkeypatch: pytest.MonkeyPatch, place: Path, spark_for_certain: None, text: str
) -> None:
    """Spark would put its commits without a condition, over those of a driver that reaches it natively."""

    def fails(self: object) -> None:
        with native_errors(Reached(THERE)):
            raise OSError(text)

    monkeypatch.setattr(native.NativeStorage, "properties", fails)
    with pytest.raises(RunError, match="could not open it") as failure:
        opened(THERE)
    assert failure.value.code == "ledger_failed" and text in failure.value.message
    assert FAILURES[text] in failure.value.remedy
    assert 'engine = "spark" under [tables]' in failure.value.remedy
    with pytest.raises(AskedForSpark):
        opened(place)  # on a disk a lock keeps both engines apart


@pytest.mark.law(6)
@pytest.mark.parametrize("text", ["Kernel error: Unsupported: Feature 'fancy' is not supported", ""])
def test_what_only_spark_knows_is_left_to_it_in_a_bucket_too(
    monkeypatch: pytest.MonkeyPatch,
    spark_for_certain: None,
    caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:
    def fails(self: object) -> None:
        with native_errors(Reached(THERE)):
            raise OSError(text) if text else NativeFailed("its columns are others", beyond=True)

    monkeypatch.setattr(native.NativeStorage, "properties", fails)
    with pytest.raises(AskedForSpark):
        opened(THERE)
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert (text or "its columns are others") in said


@pytest.mark.law(6)
def test_a_refused_role_is_named_and_spark_is_not_asked(
    s3: str, monkeypatch: pytest.MonkeyPatch, spark_for_certain: None
) -> None:
    import boto3

    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket="refusing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    assert opened("s3://refusing/control/acme").exists, "the server of the environment is taken"
    monkeypatch.setattr(credentials, "_sessions", {})
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-than-the-server-knows")
    with pytest.raises(RunError, match=r"403 Forbidden|SignatureDoesNotMatch") as failure:
        opened("s3a://refusing/control/acme")
    assert failure.value.code == "ledger_failed" and "Let this role read it" in failure.value.remedy
    assert "another-than" not in failure.value.message

    def fails(*_: object) -> None:
        raise credentials.ChainFailed("the SDK's chain gives no credentials for S3: AccessDenied")

    monkeypatch.setattr(storage, "of_aws", fails)
    with pytest.raises(RunError, match="AccessDenied") as failure:
        opened("s3://refusing/control/acme")
    assert "Let this role read it" in failure.value.remedy


def test_that_spark_commits_in_a_bucket_is_said_once_where_nobody_asked_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, spark_for_certain: None, place: Path
) -> None:
    def none(*_: object) -> None:
        raise credentials.NoCredentials("no credentials here")

    for chain in ("of_aws", "of_google", "of_azure"):
        monkeypatch.setattr(storage, chain, none)

    def said(location: str, access: TableAccess | None = None) -> list[str]:
        caplog.clear()
        with pytest.raises(AskedForSpark):
            opened(location, access=access)
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    (first,) = said(THERE)
    assert "no credentials here" in first and "run a single driver at a time" in first
    assert said(THERE) == [], "once a process"
    assert len(said("s3a://bucket/another")) == 1
    assert said("s3a://bucket/third", TableAccess(engine="spark")) == [], "the operator asked for it"
    for safe in ("gs://bucket/x", "abfss://c@a.dfs.core.windows.net/x", "hdfs:/x", "main.control.acme"):
        assert said(safe) == [], "there Spark's own commits are exclusive"
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")
    assert said("s3://bucket/fourth") == []


@pytest.mark.law(6)
@pytest.mark.parametrize("made", [True, False])
def test_of_two_that_make_the_ledger_at_once_neither_fails(
    place: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    create = deltalake.DeltaTable.create

    def overtaken(*args: Any, **named: Any) -> None:
        if made:
            create(*args, **named)
        raise OSError("Transaction failed: Protocol changed since last commit")

    monkeypatch.setattr(deltalake.DeltaTable, "create", overtaken)
    if made:
        assert opened(place).record(DatasetState(), PLAN, "PLANNED").transition == 1
    else:
        with pytest.raises(RunError, match="could not make it: Transaction failed: Protocol changed"):
            opened(place)


def test_a_data_file_that_is_gone_is_one_clear_error(place: Path) -> None:
    ledger = opened(place)
    ledger.record(DatasetState(), PLAN, "PLANNED")
    for file in place.rglob("kind=batch/*.parquet"):
        file.unlink()
    with pytest.raises(RunError, match="could not read it") as failure:
        ledger.transitions()
    assert failure.value.code == "ledger_failed" and "\n" not in failure.value.message


def test_a_half_written_checkpoint_beside_a_whole_log_is_passed_over(place: Path) -> None:
    """As a process leaves it that dies inside the checkpoint: nothing names it yet."""
    ledger = opened(place)
    ledger.record(DatasetState(), PLAN, "PLANNED")
    (place / "_delta_log" / f"{1:020}.checkpoint.parquet.tmp").write_bytes(b"PAR1")
    shutil.copy(place / "_delta_log" / f"{1:020}.json", place / "_delta_log" / f".{2:020}.json.tmp")
    assert len(opened(place, create=False).transitions()) == 1


def test_no_secret_stands_in_an_error() -> None:
    place = Reached(
        "s3://b/x", {"aws_secret_access_key": "sEcReT/1", "aws_access_key_id": "AKIA42", "aws_region": "eu"}
    )
    text = (
        "Kernel error -> Generic S3 error\n \x1b[31m↳\x1b[0m Error performing GET https://me:pw@host/b?sig=sEcReT&x=1 in 3ms"
        " - Server returned 403\n <?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA42</AWSAccessKeyId>"
    )
    with pytest.raises(NativeFailed) as failure, native_errors(place):
        raise OSError(text)
    assert str(failure.value) == (
        "Kernel error -> Generic S3 error Error performing GET https://host/b in 3ms - Server returned 403 SignatureDoesNotMatch"
    )
    with pytest.raises(NativeFailed) as failure, native_errors(place):
        raise BaseException("panic: key sEcReT/1 of AKIA42")
    assert str(failure.value) == "panic: key … of …"
    with pytest.raises(KeyboardInterrupt), native_errors(place):
        raise KeyboardInterrupt


def test_of_a_long_history_few_rows_count() -> None:
    def row(transition: int, seq: int | None, state: str, **more: Any) -> dict[str, Any]:
        base = {"dataset": "a", "transition": transition, "seq": seq, "state": state, "phase": "changes"}
        return {**base, "counts": None, "note": None, **more}

    rows = [row(n, n, "COMMITTED", counts='{"read": 1, "floors": 0}') for n in range(1, 51)]
    rows[3] = row(4, 4, "COMMITTED", phase="snapshot")
    rows[8] = row(9, 9, "COMMITTED", counts='{"quarantined": 12, "floors": 3}')
    rows[12] = row(13, 13, "COMMITTED", counts='{"quarantined": 7, "floors": 3}', note="redelivered")
    rows[20] = row(21, None, "RERUN", phase=None)
    rows += [row(n, n, "ABORTED") for n in range(51, 60)]
    kept = [each["transition"] for each in still_counting(rows)]
    assert kept == [4, 9, 21, 50, *range(51, 60)], (
        "the last delivered one stays, behind any number of aborted ones"
    )
    assert [quarantined_by(each) for each in rows if quarantined_by(each)] == [12]
