"""Mistakes that only Spark, a ledger or a destination can tell: many command lines on one terminal, with one JVM."""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import pytest

from tests.mistakes.sight import assert_a_person_can_read
from tests.mistakes.terminal import Terminal
from tests.proxy import Proxy
from tests.servers import ENVIRONMENT
from tests.store import buckets

FEED = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
ROW = "'00000001-0000-4000-8000-000000000001', 'plain', named_struct('tier', 'gold'), timestamp'2026-11-01 10:00:00', 1"
COLUMNS = "who string, kind string, traits struct<tier:string>, seen timestamp, n int"
EVENT = 'columns = { id = "who", time = "seen" }\n'
PROFILES = 'columns = { roverID = "who", updatedAt = "seen" }\n'


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


class Scene:
    """Tables, one delivery, and configurations beside it, below one directory."""

    def __init__(self, terminal: Terminal, root: Path) -> None:
        self.terminal, self.root = terminal, root
        self.delivered = self.file("delivered", table="p")
        tables = [f"CREATE TABLE delta.`{root}/{name}` ({COLUMNS}) USING delta" for name in ("p", "gone")]
        statements = [f"{each} {FEED}" for each in tables]
        statements += [f"INSERT INTO delta.`{root}/{name}` VALUES ({ROW})" for name in ("p", "gone")]
        statements.append(f"CREATE TABLE delta.`{root}/nofeed` (who string, seen timestamp) USING delta")
        code, came = terminal.run(120, sql=statements)
        assert code == 0, came
        (root / "plain").mkdir()
        (root / "plain" / "part-1.parquet").write_bytes(b"PAR1")
        (root / "in_the_way").write_text("no directory")
        for part in (root / "gone").glob("*.parquet"):
            part.unlink()
        assert self.run("export -c {delivered}") == 0

    def file(self, name: str, text: str = PROFILES, *, table: str = "p", **top: str) -> Path:
        """A configuration of fan_profiles; what it is not given has a place of its own."""
        path = self.root / f"{name}.toml"
        if path.exists():
            return path
        given = {
            "destination": f"file://{self.root}/bucket/{name}",
            "ledger": f"{self.root}/control/{name}",
            **top,
        }
        place = table if "." in table or table.startswith("/") else f"{self.root}/{table}"
        lines = "".join(f'{key} = "{value}"\n' for key, value in given.items() if key != "store")
        path.write_text(
            f'name = "acme"\n{lines}[datasets.fan_profiles]\ntable = "{place}"\n{text}\n{given.get("store", "")}\n'
        )
        return path

    def run(self, argv: str, width: int = 120, **environ: str) -> int:
        line = argv.format(delivered=self.delivered, root=self.root)
        code, self.came = self.terminal.run(width, argv=line.split(), environ=environ)
        return code


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    terminal = Terminal()
    try:
        yield Scene(terminal, tmp_path_factory.mktemp("mistakes"))
    finally:
        terminal.close()


class Mistake(NamedTuple):
    """A configuration (None: the one that was delivered), a command line, the exit code, what must stand there."""

    configured: dict[str, Any] | None
    argv: str
    code: int
    words: tuple[str, ...]


def of(code: int, *words: str, argv: str = "plan", **configured: Any) -> Mistake:
    return Mistake(configured, argv, code, words)


def later(code: int, argv: str, *words: str) -> Mistake:
    return Mistake(None, argv, code, words)


def columns(**fields: str) -> str:
    chosen = {"roverID": "who", "updatedAt": "seen", **fields}
    return "columns = { " + ", ".join(f'{name} = "{text}"' for name, text in chosen.items()) + " }\n"


MISTAKES = {
    # tables
    "no table": of(2, "there is no Delta table", "nothing_here", table="nothing_here"),
    "parquet": of(2, "there is no Delta table", "plain", table="plain"),
    "a file": of(2, "there is no Delta table", "in_the_way", table="in_the_way"),
    "no schema": of(2, "there is no Delta table", "nowhere.t", table="nowhere.t"),
    "no catalog": of(2, "there is no Delta table", "no_such_catalog.nowhere.t", table="no_such_catalog.nowhere.t"),
    "no feed": of(2, "keeps no change data feed", "ALTER TABLE", table="nofeed"),
    "no file system": of(1, "hadoop-aws", table="/s3", ledger="s3a://nowhere/acme", store='[tables]\nengine = "spark"'),
    "files gone": of(1, "source_gap", "VACUUM", argv="export", table="gone"),
    # columns and expressions
    "a mistyped column": of(2, "columns.updatedAt", "changed_att", "who, kind, traits, seen, n", text=columns(updatedAt="changed_att")),
    "a mistyped column, exported": of(2, "columns.updatedAt", "changed_att", argv="export", text=columns(updatedAt="changed_att")),
    "a mistyped column, checked": of(1, "changed_att", "delivery would fail", argv="check", text=columns(updatedAt="changed_att")),
    "a text as time": of(2, "columns.updatedAt", "to_timestamp(kind)", text=columns(updatedAt="kind")),
    "a number as id": of(2, "columns.roverID", "cast(n as string)", text=columns(roverID="n")),
    "a number as traits": of(2, "columns.traits", "named_struct", text=columns(traits="n")),
    "an aggregate": of(2, "columns.traits", "sum(n)", "GROUP BY", text=columns(traits="struct(sum(n))")),
    "no such function": of(2, "columns.traits", "my_udf", text=columns(traits="my_udf(traits)")),
    "half an expression": of(2, "columns.traits", text=columns(traits="struct(kind")),
    "a filter's column": of(2, "fan_profiles.where", "kidn", text=PROFILES + "where = \"kidn = 'x'\"\n"),
    "a filter that is no condition": of(2, "fan_profiles.where", text=PROFILES + 'where = "kind"\n'),
    "an additional field's column": of(2, "extra.tier", "teir", text=PROFILES + 'extra = { tier = "traits.teir" }\n'),
    # the ledger
    "another table as ledger": of(2, "not a ledger of rover_spark", ledger="{root}/p"),
    "a ledger in no schema": of(2, "there is no schema nowhere", "CREATE SCHEMA", argv="export", ledger="nowhere.acme"),
    "a ledger in no schema, checked": of(1, "there is no schema nowhere", "delivery would fail", argv="check", ledger="nowhere.acme"),
    "a ledger in no catalog": of(2, "there is no schema no_such.nowhere", argv="status", ledger="no_such.nowhere.acme"),
    "a ledger below a file": of(1, "ledger_unwritable", "in_the_way", argv="export", ledger="{root}/in_the_way/acme"),
    "a ledger where nobody may write": of(1, "ledger_unwritable", "Permission denied", argv="export", ledger="/sys/kernel/acme"),
    "a ledger below a file, checked": of(1, "ledger", "delivery would fail", argv="check", ledger="{root}/in_the_way/acme"),
    # the destination
    "a destination below a file": of(1, "in_the_way", "Not a directory", argv="check", destination="file://{root}/in_the_way/b"),
    "a destination below a file, exported": of(1, "in_the_way", "Not a directory", argv="export", destination="file://{root}/in_the_way/b"),
    "no bucket": of(1, "NoSuchBucket", argv="check", destination="s3://no-such-bucket-here/a", store="[store]\nendpoint = '{s3}'"),
    "nobody listens": of(1, "nothing listens there", "http://127.0.0.1:9", argv="check", destination="s3://b0b/a", store="[store]\nendpoint = 'http://127.0.0.1:9'"),
    "no host": of(1, "no such host is known", "nowhere.invalid", argv="check", destination="s3://b0b/a", store="[store]\nendpoint = 'http://nowhere.invalid'"),
    "wrong credentials": of(1, "SignatureDoesNotMatch", "credentials", argv="check", destination="s3://b0b/a", store="[store]\nendpoint = '{s3}'\nregion = 'eu-west-1'"),
    "no account": of(2, "storage account", "AZURE_STORAGE_ACCOUNT", argv="export", destination="az://container/a"),
    "a bucket that may not be read": of(2, "can_read", argv="verify", destination="s3://b0b/a", store="[store]\nendpoint = '{s3}'"),
    # Currents
    "no schema file": of(2, "schema", "nothing.avsc cannot be read", events=EVENT + 'schema = "nothing.avsc"\n'),
    "a schema that is none": of(2, "schema_invalid", events=EVENT + 'schema = "in_the_way"\n'),
    "an event without its id": of(2, "id", events='columns = { time = "seen" }\n'),
    # commands
    "a rerun before the first delivery": of(2, "was never delivered", "export -c", argv="rerun --dataset fan_profiles"),
    "a rerun of no dataset": later(2, "rerun --dataset fan_profile", "no such dataset", "did you mean fan_profiles?"),
    "a gap that is none": later(2, "rerun --dataset fan_profiles --accept-gap", "plain rerun"),
    "no such batch": later(2, "redeliver --batch fan_profiles.9.9", "fan_profiles.9.9 is not in the ledger", "status -c"),
    "schemas of Rover": later(2, "schemas", "has no schemas"),
    "too early": later(2, "export --now 2020-01-01T00:00:00Z", "before that of the last batch"),
    "nothing to accept": later(2, "accept --dataset fan_profiles", "fan_profiles"),
    "no such dataset": later(2, "plan --dataset fan_profils", "did you mean fan_profiles?"),
    "a demo over something": later(2, "demo --dir {root}", "holds something already", "rm -r"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_shown_in_a_few_lines(scene: Scene, name: str, request: pytest.FixtureRequest) -> None:
    code, words = MISTAKES[name].code, MISTAKES[name].words
    configured = dict(MISTAKES[name].configured or {})
    argv, file = MISTAKES[name].argv, scene.delivered
    environ = {**ENVIRONMENT, **({"AWS_SECRET_ACCESS_KEY": "hunter2"} if name == "wrong credentials" else {})}
    if configured or MISTAKES[name].configured == {}:
        places = {"root": scene.root}
        if "{s3}" in configured.get("store", ""):
            places["s3"] = request.getfixturevalue("s3")
        filled = {
            key: value.format(**places) if key in {"ledger", "destination", "store"} else value
            for key, value in configured.items()
        }
        file = (
            events(scene, name, filled["events"])
            if "events" in filled
            else scene.file(name.replace(" ", "_"), **filled)
        )
    if not argv.startswith("demo"):
        argv += f" -c {file}"
    width = (80, 120)[list(MISTAKES).index(name) % 2]
    assert scene.run(argv, width, **environ) == code, scene.came
    assert_a_person_can_read(scene.came, width, words, lines=40 if argv.startswith("check") else 12)
    assert "hunter2" not in scene.came
    assert not (argv.startswith("check") and re.search(r"\b[Rr]un (export|it) again", scene.came))
    assert "-c FILE" not in scene.came, "what to do can be pasted"


def events(scene: Scene, name: str, text: str) -> Path:
    path = scene.root / f"{name.replace(' ', '_')}.toml"
    path.write_text(
        f'name = "acme"\ndestination = "file://{scene.root}/bucket/e/acme"\nledger = "{scene.root}/control/e"\n'
        'contract = "currents"\n[currents]\ncluster = "c"\nconnection = "S3"\nintegration_id = "i"\nzone = "z"\n'
        f'[events.Seen]\ntable = "{scene.root}/p"\nstart = "earliest"\n{text}'
    )
    return path


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    """A file that somebody has overwritten."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def test_a_state_that_is_broken_is_shown_and_nothing_else(scene: Scene) -> None:
    (delivered,) = (scene.root / "bucket" / "delivered" / "exports").rglob("*.ndjson.gz")
    log = sorted((scene.root / "control" / "delivered" / "_delta_log").glob("*.json"))

    def shows(argv: str, code: int, *words: str, lines: int = 12, width: int = 80) -> None:
        assert scene.run(f"{argv} -c {scene.delivered}", width) == code, scene.came
        assert_a_person_can_read(scene.came, width, words, lines)

    with replaced(delivered, gzip.compress(b"another\n")):
        shows("verify", 1, "object_changed", "redeliver")
    hidden = delivered.rename(delivered.with_suffix(".away"))
    shows("verify", 1, "object_missing", delivered.name, "object_foreign", lines=20)
    hidden.rename(delivered)
    lock = scene.root / "control" / "delivered.acme.fan_profiles.lock"
    assert scene.terminal.run(80, sql=[f"INSERT INTO delta.`{scene.root}/p` VALUES ({ROW})"])[0] == 0
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        shows("export", 0, "dataset_busy", "another run is delivering it", "nothing to do")
        shows("export --strict", 1, "dataset_busy")
    for damaged in (log[0].read_bytes()[:40], b""):
        with replaced(log[0], damaged):
            shows("status", 1)
    before = scene.delivered.read_text()
    scene.delivered.write_text(before + "where = \"kind = 'plain'\"\n")
    shows("export", 2, "fan_profiles.where", "rerun -c", str(scene.delivered))
    scene.delivered.write_text(before)
    away = (scene.root / "p").rename(scene.root / "away")
    shows("export", 2, "there is no Delta table")
    away.rename(scene.root / "p")


def test_a_whole_process_group_is_stopped_while_staging(scene: Scene, s3: str) -> None:
    """The last one on this terminal. A scheduler, `timeout` and a closed terminal ask every process of the group."""
    reached, over = Event(), Event()

    def hold(name: str, number: int) -> None:
        if name == "UploadPart":
            reached.set()
            over.wait(60)

    with Proxy(s3, hold) as proxy:
        bucket = buckets.s3(s3)
        store = f"[store]\nendpoint = '{proxy.endpoint}'"
        file = scene.file("stopped", destination=bucket.url, store=store)
        process = scene.terminal.process
        (jvm,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert os.getsid(int(jvm)) != process.pid, "it is in no group of the driver's"
        ignored = re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{jvm}/status").read_text())
        assert ignored and int(ignored[1], 16) >> (signal.SIGTERM - 1) & 1, "systemd asks it, too"
        scene.terminal.begin(80, argv=["export", "-c", str(file)], environ=ENVIRONMENT)
        assert reached.wait(120)
        os.killpg(process.pid, signal.SIGTERM)
        came = scene.terminal.rest()
        over.set()
        assert process.wait(60) == 143
        words = [
            "stopped by SIGTERM while staging fan_profiles.1.1; nothing of it is visible",
            "Run export again",
        ]
        assert_a_person_can_read(came, 80, words, lines=6)
        assert bucket.objects() == {}
    until(lambda: not Path(f"/proc/{jvm}").exists())


@pytest.mark.full
def test_a_spark_that_is_gone_and_ctrl_c_while_publishing_are_one_message(s3: str, tmp_path: Path) -> None:
    reached, over = Event(), Event()

    def hold(name: str, number: int) -> None:
        if name == "CompleteMultipartUpload":
            reached.set()
            over.wait(60)

    with Proxy(s3, hold) as proxy:
        scene = Scene(Terminal(), tmp_path)
        store = f"[store]\nendpoint = '{proxy.endpoint}'"
        file = scene.file("stopped", destination=buckets.s3(s3).url, store=store)
        scene.terminal.begin(80, argv=["export", "-c", str(file)], environ=ENVIRONMENT)
        assert reached.wait(120)
        os.kill(scene.terminal.process.pid, signal.SIGINT)
        came = scene.terminal.rest()
        over.set()
        assert scene.terminal.process.wait(60) == 130
        words = [
            "interrupted while publishing fan_profiles.1.1; it is staged, and a part of it may be visible"
        ]
        assert_a_person_can_read(came, 80, words, lines=8)
        again = scene.terminal = Terminal()
        assert scene.run(f"export -c {file}", **ENVIRONMENT) == 0, "the next export goes on"
        assert again.run(80, kill=True)[0] == 0
        assert scene.run(f"status -c {file}", 80) == 1
        assert_a_person_can_read(scene.came, 80, ["spark_gone", "status again"], lines=8)
        again.close()


def test_there_are_more_than_sixty_of_both_kinds() -> None:
    from tests.mistakes.test_before_spark import MISTAKES as EARLY

    assert len(MISTAKES) >= 40 and len(MISTAKES) + len(EARLY) > 100
    assert not set(EARLY) & set(MISTAKES)
