"""Mistakes that are found before Spark starts: in a configuration, in the environment, on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mistakes.sight import assert_a_person_can_read
from tests.mistakes.terminal import Terminal

HEAD = 'name = "acme"\n'
DESTINATION = 'destination = "file:///nowhere/bucket"\n'
LEDGER = 'ledger = "/nowhere/control/acme"\n'
TOP = HEAD + DESTINATION + LEDGER
PROFILES = '[datasets.fan_profiles]\ntable = "/nowhere/p"\n'
GOOD = TOP + PROFILES
EVENTS = (
    TOP
    + 'contract = "currents"\n[currents]\ncluster = "c"\nconnection = "S3"\nintegration_id = "i"\nzone = "z"\n'
)
EVENT = '[events."users.Event"]\ntable = "/nowhere/e"\n'


class Mistake(NamedTuple):
    """A file's content, a command line with {file} in it, variables; what must stand on the terminal, and how it ends."""

    content: str | bytes | None
    words: tuple[str, ...]
    argv: str = "export -c {file}"
    environ: dict[str, str] = {}  # noqa: RUF012 - never written to
    code: int = 2


def of(content: str | bytes | None, *words: str, argv: str = "export -c {file}", **environ: str) -> Mistake:
    return Mistake(content, words, argv, environ)


MISTAKES = {
    # the file
    "no file": of(None, "cannot read", "No such file"),
    "a directory": of("", "cannot read", "Is a directory", argv="status -c {folder}"),
    "latin-1": of('name = "acmé"'.encode("latin-1"), "not UTF-8"),
    "no toml": of("name = acme", "is not TOML", "line 1"),
    "a key twice": of(TOP + HEAD, "is not TOML", "Cannot overwrite"),
    "an empty file": of("", "name: is missing", "destination: is missing", "ledger: is missing"),
    # keys
    "a mistyped key": of(HEAD + LEDGER + 'destinaton = "file:///b"\n' + PROFILES, "destinaton", "mean destination?"),
    "a mistyped table": of(GOOD + "[file]\nmax_bytes = 1\n", "file: unknown key, did you mean files?"),
    "a key in the wrong table": of(GOOD + "target_records = 5\n", "datasets.fan_profiles.target_records: unknown key"),
    "a dataset mistyped": of(TOP + '[datasets.fan_profile]\ntable = "/t"\n', "did you mean fan_profiles?"),
    "a field mistyped": of(GOOD + 'columns = { roverId = "x" }\n', "columns.roverId", "did you mean roverID?"),
    "a mistyped key of events": of(EVENTS + EVENT + 'colums = { a = "b" }\n', "colums", "did you mean columns?"),
    "many at once": of(GOOD + "wher = 'x'\n[files]\nmax_bytes = 0\nzzz = 1\n", "did you mean where?", "max_bytes", "zzz"),
    # values
    "a number that is text": of(GOOD + '[files]\nmax_bytes = "many"\n', "files.max_bytes: takes a number"),
    "a number too large": of(GOOD + "[files]\ncompression_level = 9\n", "files.compression_level", "3"),
    "a name with a slash": of('name = "a/b"\n' + DESTINATION + LEDGER + PROFILES, "name: takes 1 to 64 letters"),
    "no such contract": of(GOOD.replace(HEAD, HEAD + 'contract = "braze"\n'), 'takes "rover" or "currents"'),
    "no such start": of(TOP + '[datasets.fan_track_events]\ntable = "/e"\nstart = "latest"\n', '"earliest"', "a version"),
    "a start that is not taken": of(GOOD + 'start = "earliest"\n', "fan_profiles.start", "begins with a snapshot"),
    "no such deletes": of(GOOD + 'deletes = "keep"\n', 'takes "suppress" or "tombstone"'),
    "tombstones of merges": of(TOP + '[datasets.fan_profile_merges]\ntable = "/m"\ndeletes = "tombstone"\n', "only fan_profiles"),
    "a list of columns": of(GOOD + 'columns = { traits = "first_name, last_name" }\n', "struct(first_name, last_name)"),
    "an empty filter": of(GOOD + 'where = ""\n', "where: is an empty expression"),
    "rand()": of(GOOD + 'where = "rand() < 0.1"\n', "rand gives another value"),
    "the clock": of(GOOD + 'extra = { told = "now()" }\n', "extra.told: now gives another value"),
    "a subquery": of(GOOD + 'where = "who IN (SELECT who FROM others)"\n', "asks for other rows"),
    "a window": of(GOOD + 'extra = { n = "sum(n) over (partition by who)" }\n', "asks for other rows"),
    "a generator": of(GOOD + 'columns = { traits = "explode(many)" }\n', "explode makes several rows"),
    "a comment": of(GOOD + 'where = "a = 1 -- only these"\n', "holds a comment"),
    "an envelope field": of(GOOD + 'extra = { emittedAt = "x" }\n', "extra.emittedAt"),
    "no such natural key": of(GOOD + 'natural_key = ["roverid"]\n', "roverid cannot be part", "did you mean roverID?"),
    # places
    "another scheme": of(GOOD.replace("file:///nowhere", "ftp://host"), "ftp:// is not a supported destination scheme", "s3://"),
    "Hadoop's scheme": of(GOOD.replace("file:///nowhere", "s3a://bucket"), "s3a://", "did you mean s3?"),
    "a bare path": of(GOOD.replace("file:///nowhere", "/nowhere"), "has no scheme", "file:///absolute/path"),
    "a host in a file's address": of(GOOD.replace("file:///nowhere", "file://nowhere"), "takes an absolute path"),
    "a relative ledger": of(GOOD.replace("/nowhere/control/acme", "control/acme"), "give an absolute path", "control/acme"),
    "a relative table": of(GOOD.replace("/nowhere/p", "./p"), "fan_profiles.table: ./p", "give an absolute path"),
    "two names too many": of(GOOD.replace("/nowhere/p", "a.b.c.d"), "catalog.schema.table"),
    "a ledger that receivers read": of(GOOD.replace("/nowhere/control", "/nowhere/bucket/c"), "inside the destination"),
    # the store
    "a secret": of(GOOD + '[store]\nsecret_key = "hunter2"\n', "secret_key is a secret"),
    "another cloud's key": of(GOOD + '[store]\nregion = "eu-west-1"\n', "store.region: has no effect on file://"),
    "an id without a role": of(GOOD + '[store]\nexternal_id = "abc"\n', "role_arn, which is missing"),
    "an endpoint without a scheme": of(GOOD + '[store]\nendpoint = "minio:9000"\n', "store.endpoint"),
    "staging elsewhere": of(GOOD + '[store]\nstaging = "gs://b/x"\n', "store.staging"),
    # Currents
    "no integration": of(TOP + 'contract = "currents"\n' + EVENT, "cluster, connection, integration_id and zone"),
    "datasets of Currents": of(EVENTS + PROFILES, "datasets belong to rover"),
    "no events": of(EVENTS, "name at least one event type"),
    "no such connection": of(EVENTS.replace('"S3"', '"FTP"') + EVENT, 'takes "S3", "AzureBlob" or "GCS"'),
    "an event type with a slash": of(EVENTS + EVENT.replace("users.Event", "users/Event"), "users/Event"),
    "two ids": of(EVENTS + EVENT + 'columns = { id = "a" }\nnatural_key = ["b"]\n', "not from both"),
    "events of Rover": of(GOOD + EVENT, 'contract = "currents"'),
    # the environment
    "a variable's value": of(GOOD, "files.max_bytes: takes a number", ROVER_SPARK__FILES__MAX_BYTES="many"),
    "a variable's name": of(GOOD, "did you mean max_bytes?", ROVER_SPARK__FILES__MAX_BYTE="1"),
    "a variable below a value": of(GOOD, "NAME is a value, not a table", ROVER_SPARK__NAME__X="1"),
    # arguments
    "no zone": of(GOOD, "has no time zone", "2026-11-21T10:15:00Z", argv="plan -c {file} --now 2026-11-21T10:15:00"),
    "no instant": of(GOOD, "is not an instant", argv="export -c {file} --now yesterday"),
    "no age": of(GOOD, "not an age", "7d, 12h or 30m", argv="sweep -c {file} --older-than 7w"),
    "no interval": of(GOOD, "--every", "not an age", argv="export -c {file} --every soon"),
    "two that exclude each other": of(GOOD, "--every", argv="export -c {file} --every 5m --dataset fan_profiles"),
    "no such option": of(GOOD, "No such option: --jsn", argv="status -c {file} --jsn"),
    "no such command": of(GOOD, "No such command", argv="exprot -c {file}"),
    "no configuration": of(GOOD, "Missing option", "--config", argv="export"),
    "no dataset": of(GOOD, "Missing option", "--dataset", argv="rerun -c {file}"),
    "too few fans": of(GOOD, "--fans", "20", argv="demo --fans 3"),
}  # fmt: skip


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    found = Terminal()
    yield found
    found.close()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_shown_in_a_few_lines_and_ends_with_2(
    terminal: Terminal, name: str, tmp_path: Path
) -> None:
    mistake = MISTAKES[name]
    file = tmp_path / "acme.toml"
    if mistake.content is not None:
        content = mistake.content
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    argv = mistake.argv.format(file=file, folder=tmp_path).split()
    for width in (80, 120):
        code, came = terminal.run(width, argv=argv, environ=mistake.environ)
        assert code == mistake.code
        assert_a_person_can_read(came, width, mistake.words, lines=9)
        assert "hunter2" not in came


def test_there_are_more_than_sixty() -> None:
    assert len(MISTAKES) >= 60
