"""Mistakes in a configuration: the message names the key, what it takes, and what was likely meant."""

from __future__ import annotations

import errno
import os
import sys
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from py4j.protocol import Py4JError

from rover_spark.audit.found import Finding
from rover_spark.config.settings import load, parse
from rover_spark.deliver.progress import LoggedProgress
from rover_spark.demo.story import run
from rover_spark.errors import ConfigError, Problem
from rover_spark.face.console.progress import TerminalProgress
from rover_spark.face.console.streams import progress_of
from rover_spark.face.results import CheckResult, QuarantineResult
from rover_spark.face.unexpected import problem_of
from rover_spark.model.quarantine import Quarantine, QuarantinedRow
from rover_spark.store.aws import shown_address
from tests.config.test_settings import MINIMAL, refused, tree

EVENTS = {"contract": "currents", "datasets": None, "currents": {"cluster": "c", "connection": "S3"}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"destinaton": "file:///b", "destination": None}, ["destinaton: unknown key, did you mean destination?"]),
        ({"Files__max_bytes": 1}, ["Files: unknown key, did you mean files?"]),
        ({"files__max_byte": 1}, ["files.max_byte: unknown key, did you mean max_bytes?"]),
        ({"files__zzz": 1}, ["configuration: files.zzz: unknown key"]),
        ({"store__regoin": "eu"}, ["store.regoin: unknown key, did you mean region?"]),
        ({"datasets__fan_profiles__coloumns": {}}, ["coloumns: unknown key, did you mean columns?"]),
        ({"datasets__fan_profile": {"table": "/t"}}, ["datasets.fan_profile: ", "did you mean fan_profiles?"]),
        ({"datasets__fan_profiles__columns__roverId": "x"}, ["columns.roverId: ", "did you mean roverID?"]),
        ({"datasets__fan_profiles__columns__updated_at": "x"}, ["did you mean updatedAt?"]),
        ({"datasets__fan_profiles__natural_key": ["roverid"]}, ["roverid cannot be part", "did you mean roverID?"]),
        ({**EVENTS, "currents__conection": "S3"}, ["currents.conection: unknown key, did you mean connection?"]),
        ({**EVENTS, "events__A__tabel": "/e"}, ["events.A.tabel: unknown key, did you mean table?"]),
        ({**EVENTS, "events__A__shema": "/e"}, ["events.A.shema: unknown key, did you mean schema?"]),
        ({"datasets__fan_track_events": {"table": "/e", "start": "latest"}}, ['"enable", "earliest", or a version']),
        ({"datasets__fan_track_events": {"table": "/e", "start": 1.5}}, ['"enable", "earliest", or a version']),
        ({"datasets__fan_track_events": {"table": "/e", "start": True}}, ['"enable", "earliest", or a version']),
        ({"datasets__fan_profiles__columns__traits": "first_name, last_name"}, ["struct(first_name, last_name)"]),
        ({"datasets__fan_profiles__where": "a = 1, b = 2"}, ["is one SQL expression"]),
        ({"destination": "ftp://host/x"}, ["ftp:// is not a supported destination scheme", "s3://, gs://, az://, file://, memory://"]),
        ({"destination": "s3a://bucket/x"}, ["s3a:// is not a supported destination scheme, did you mean s3?"]),
        ({"destination": "abfss://container/x"}, ["did you mean az?"]),
        ({"destination": "fil:///x"}, ["did you mean file?"]),
        ({"destination": "/data/bucket"}, ["has no scheme", "file:///absolute/path"]),
        ({"ledger": "control/acme"}, ["ledger: control/acme depends on", "an absolute path"]),
        ({"ledger": "./acme"}, ["an absolute path"]),
        ({"ledger": "file:control/acme"}, ["an absolute path"]),
        ({"ledger": "file://host/acme"}, ["an absolute path"]),
        ({"datasets__fan_profiles__table": "tables/fan_profiles"}, ["fan_profiles.table: tables/fan_profiles depends"]),
        ({**EVENTS, "events__A__table": "tables/e"}, ["events.A.table: tables/e depends on"]),
        ({"text__nul": "drop"}, ['text.nul: takes "keep" or "replace"']),
        ({"text__duplicate_key": "last"}, ["text.duplicate_key: unknown key, did you mean duplicate_keys?"]),
        ({"contract": "rovers"}, ['contract: takes "rover" or "currents"']),
        ({"name": None}, ["name: is missing"]),
        ({"files": "small"}, ["files: takes a table of keys and values"]),
        ({"datasets__fan_profiles__natural_key": "roverID"}, ['takes a list: ["a", "b"]']),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_the_message_says_what_was_likely_meant(changes: dict[str, Any], words: list[str]) -> None:
    message = refused(tree(**changes)).message
    for word in words:
        assert word in message, message
    assert "Input should" not in message and "[type=" not in message


def test_every_mistake_is_shown_at_once_and_a_mistyped_key_is_not_missing_too() -> None:
    config = tree(
        destinaton="file:///b", destination=None, files__max_bytes="many", store__can_read="perhaps"
    )
    message = refused(config).message
    assert message == (
        "configuration: destinaton: unknown key, did you mean destination?; files.max_bytes: takes a number; "
        "store.can_read: takes true or false"
    )
    assert refused(config).remedy.startswith("Mend those keys")
    many = refused({**MINIMAL, **{f"zz{n}": 1 for n in range(9)}}).message
    assert many.count("unknown key") == 5 and many.endswith("; and 4 more")


def test_a_relative_path_is_refused_with_the_path_that_it_means_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(
        'name = "acme"\ndestination = "file:///b"\nledger = "control/acme"\n'
        '[datasets.fan_profiles]\ntable = "../tables/p"\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert f"give an absolute path: {tmp_path}/control/acme" in caught.value.message
    assert f"give an absolute path: {tmp_path.parent}/tables/p" in caught.value.message


@pytest.mark.parametrize(
    "place", ["/data/l", "//data/l", "file:/data/l", "file:///data/l", "s3a://b/l", "dbfs:/l", "hdfs:///l", "c.s.l"]
)  # fmt: skip
def test_an_absolute_path_an_address_and_a_name_pass(place: str) -> None:
    assert parse(tree(ledger=place)).ledger == place


@pytest.mark.parametrize(
    "expression",
    [
        "struct(first_name, last_name)",
        "map('a', b, 'c', d)['a']",
        "cast(x as map<string,struct<a:int,b:int>>)",
        "x::map<string,int>",
        "`a,b`",
        "concat(a, ', ', b)",
        "transform(xs, (x, i) -> x + i)",
        "a < b AND c > d",
    ],
)
def test_commas_inside_of_brackets_and_texts_make_no_list(expression: str) -> None:
    assert parse(tree(datasets__fan_profiles__columns__traits=expression))


@pytest.mark.parametrize(
    "secret",
    [
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=hunter2==;BlobEndpoint=https://a.example.com/",
        "hunter2",
        "AKIA0123hunter2://x",
        "https://user:hunter2@host/bucket",
        "https://acme.blob.core.windows.net/c?sig=hunter2",
        "s3://bucket/p?key=hunter2",
    ],
)
def test_what_may_be_a_secret_is_never_repeated(secret: str) -> None:
    found = refused(tree(destination=secret))
    assert "hunter2" not in found.message + found.remedy


def test_what_to_do_names_the_file_that_was_given_wherever_it_stands() -> None:
    problem = Problem("source_gap", "a gap", "rover-spark rerun -c FILE --dataset fan_profiles, then export")
    check = Finding("d", "stage", "failed", "3", "rover-spark sweep -c FILE removes it")
    named = CheckResult(problems=(problem,), checks=(check,)).naming("my files/acme.toml").document()
    assert named["problems"][0]["remedy"].startswith("rover-spark rerun -c 'my files/acme.toml' --dataset")
    (found,) = named["checks"]
    assert found["remedy"] == "rover-spark sweep -c 'my files/acme.toml' removes it"
    assert (found["about"], found["found"]) == ("d", "3")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "Free space"), (errno.EROFS, "Let this user write there"), (errno.ENAMETOOLONG, "Look at that path")],
)  # fmt: skip
def test_what_the_system_says_of_a_file_names_it_and_what_to_do(number: int, words: str) -> None:
    problem = problem_of(OSError(number, os.strerror(number), "/data/x"), "demo")
    assert problem.message == f"/data/x: {os.strerror(number)}" and problem.code == "file_refused"
    assert problem.remedy.startswith(words) and problem.remedy.endswith("Then run demo again.")


def test_what_nobody_expects_is_one_message() -> None:
    problem = problem_of(ZeroDivisionError("by zero\nTraceback"), "export")
    assert "ZeroDivisionError: by zero; what the ledger" in problem.message and "-v" in problem.remedy
    assert problem_of(KeyError(), "export").message.startswith(
        "export failed with an unexpected error: KeyError;"
    )


@pytest.mark.parametrize(
    ("command", "ends"), [("conform", "error: KeyError"), ("ddl", "error: KeyError"), ("load", "KeyError; what was loaded before is kept")]
)  # fmt: skip
def test_a_receiver_reads_nothing_of_a_ledger(command: str, ends: str) -> None:
    assert problem_of(KeyError(), command).message.endswith(ends)
    assert "ledger" not in problem_of(Py4JError("Answer from Java side is empty"), command).message


@pytest.mark.parametrize(
    "place", ["s3a://AKIA:hunter2@bucket/x", "wasbs://c@acme.blob.core.windows.net/x?sig=hunter2", "https://u:hunter2@h/x"]
)  # fmt: skip
def test_a_secret_in_the_place_of_a_table_or_ledger_is_refused_and_not_repeated(place: str) -> None:
    for found in (refused(tree(ledger=place)), refused(tree(datasets={"fan_profiles": {"table": place}}))):
        assert "hunter2" not in found.message + found.remedy and "must hold no key" in found.message
    assert parse(tree(ledger="abfss://c@acme.dfs.core.windows.net/x")).ledger.startswith("abfss://c@acme")


def test_an_address_that_the_environment_gave_is_shown_without_its_secrets() -> None:
    assert shown_address("http://user:hunter2@127.0.0.1:9000/x?key=hunter2") == "http://127.0.0.1:9000"


def test_rows_and_keys_stay_as_they_are_where_they_hold_words_of_ours() -> None:
    row = QuarantinedRow("d", "d.1.1", 1, "x", '{"note":"use -c FILE"}')
    result = QuarantineResult(quarantine=Quarantine("/l", 1, (), (row,)))
    named = result.naming("/etc/acme.toml").document()
    assert named["quarantine"]["rows"][0]["row"] == '{"note":"use -c FILE"}'
    assert named == result.document()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("An error occurred while calling o0.x. Py4JSecurityException: not allowlisted", "unexpected"),
        ("Answer from Java side is empty", "spark_gone"),
        ("An error occurred while calling o0.x: error while sending or receiving", "spark_gone"),
    ],
)
def test_only_a_process_that_no_longer_answers_is_said_to_be_gone(text: str, code: str) -> None:
    assert problem_of(Py4JError(text), "export").code == code


def test_a_demo_whose_destination_is_wrong_leaves_nothing_in_the_way_of_the_next_try(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="destination"):
        run(
            cast("Any", None),
            tmp_path / "demo",
            fans=20,
            seed=1,
            progress=LoggedProgress(),
            console=None,
            destination="s3:/bucket/x",
        )
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(("term", "drawn"), [("dumb", False), ("xterm", True)])
def test_nothing_is_drawn_on_a_terminal_that_cannot_draw(
    term: str, drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", term)
    assert isinstance(progress_of(verbose=False), TerminalProgress) is drawn
