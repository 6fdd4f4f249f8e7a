"""Real runs whose output the documents show: the demo, the bucket that it fills, a session over its tables.

All happen in one Spark session. `make docs` keeps their text; the tests compare its shape with that of a smaller run.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
from pathlib import Path
from unittest import mock

from pyspark.sql import SparkSession
from rich.console import Console
from typer.testing import CliRunner

from rover_spark.cli import app
from rover_spark.deliver.progress import LoggedProgress
from rover_spark.demo.story import run
from rover_spark.face.console.results import show
from rover_spark.face.results import DemoResult
from tests.documents.blocks import ROOT, fenced

DEMO = "rover_demo"
WIDTH = 80
_CONFIGURATION = re.compile(r'```toml\n(name = "acme".*?)```', re.DOTALL)


def demo(spark: SparkSession, fans: int = 2_000, seed: int = 7) -> tuple[DemoResult, str]:
    """The demo in the current directory: its result, and what `make demo` says on a terminal of 80 columns."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=WIDTH, color_system=None)
    with mock.patch.object(sys, "argv", [str(Path(".venv/bin/rover-spark").absolute())]):
        result = run(spark, Path(DEMO), fans=fans, seed=seed, progress=LoggedProgress(), console=console)
    show(console, result)
    return result, out.getvalue()


def shown(said: str) -> str:
    """What the README shows of it: the steps, the head of each list, all batches."""
    story, trees, fan, batches, commands = said.split("\n\n")
    parts = (_story(story), _trees(trees), _fan(fan), _batches(batches), commands.rstrip())
    return fenced("console", "$ make demo\n" + "\n\n".join(parts))


def _story(text: str) -> str:
    """The steps; of a list of counts the first three."""
    kept: list[str] = []
    for line in text.splitlines():
        if kept and line.startswith("    ") and re.match(r" +[\d,]+ ", kept[-1]):
            kept[-1] += line[3:]
        else:
            kept.append(line)
    return re.sub(r"^( +(?:[\d,]+ [a-z ]+, ){3}).*", r"\1…", "\n".join(kept), flags=re.MULTILINE)


def _trees(text: str) -> str:
    """Of each tree the root, its folder and the first entry."""
    kept: list[str] = []
    for line in text.splitlines():
        depth = (len(line) - len(line.lstrip(" │├└─"))) // 4
        if depth < 2:
            kept.append(line)
        elif depth == 2 and not kept[-1].startswith("    "):
            kept += [line, "    …"]
    return "\n".join(kept)


def _fan(text: str) -> str:
    """Of each dataset the first record."""
    kept: list[str] = []
    for line in text.splitlines():
        if not (line.startswith("    ") and kept[-1].startswith("    ")):
            kept.append(line)
    return "\n".join(kept)


def _batches(text: str) -> str:
    """The table without the remarks below it."""
    return "\n".join(line for line in text.splitlines() if not re.match(r"\S+: | {4}", line)) + "\n…"


def bucket(place: Path) -> str:
    """What receivers see below the demo's bucket, and its first event."""
    exports = place / "bucket" / "exports"
    lines = [f"{DEMO}/bucket/", f"├── {'exports/':<46}what receivers read"]
    datasets = sorted(path.name for path in exports.iterdir())
    for number, name in enumerate(datasets):
        first = min((exports / name).glob("date=*/hour=*/*.ndjson.gz"))
        date, hour, file = first.relative_to(exports / name).parts
        turn = "└──" if number == len(datasets) - 1 else "├──"
        if number == 0:
            lines += [f"│   {turn} {name}/", f"│   │   └── {date}/", f"│   │       └── {hour}/"]
            lines += [f"│   │           ├── {file}", "│   │           └── …"]
        else:
            lines.append(f"│   {turn} {name}/{date}/{hour}/…")
    lines.append(f"├── {'manifests/':<46}one object a batch, after its last file: the batch is complete")
    lines.append(f"└── {'_rover_staging/acme/':<46}what is not published yet; receivers ignore it")
    first = min((exports / "fan_track_events").glob("date=*/hour=*/*.ndjson.gz"))
    with gzip.open(first, "rt", encoding="utf-8", newline="\n") as text:
        record = text.readline().rstrip("\n")
    command = f"$ gzip -dc {DEMO}/bucket/exports/fan_track_events/date=*/hour=*/*.ndjson.gz | head -1"
    broken = re.sub(r',("(?:emittedAt|name|attributes|device|timestamp)":)', r",\n \1", record)
    return fenced("text", "\n".join(lines)) + fenced("console", f"{command}\n{broken}")


def session(place: Path) -> str:
    """The README's configuration on the demo's tables: what each command prints."""
    parts, file = [], _configured(place, "own")
    for command in ("plan", "export", "status", "verify"):
        printed = _printed(command, "-c", str(file))
        if command == "status":
            printed = printed.partition("\n\n")[0] + "\n…"
        parts.append(f"$ rover-spark {command} -c acme.toml\n{printed.rstrip()}")
    return fenced("console", "\n\n".join(parts))


def document(place: Path) -> str:
    """The JSON document of an export of one dataset."""
    file = _configured(place, "own_json")
    printed = _printed("export", "-c", str(file), "--dataset", "fan_profiles", "--json")
    return fenced("json", json.dumps(json.loads(printed), indent=2))


def _configured(place: Path, name: str) -> Path:
    """The configuration that the README shows, with the demo's tables, and a bucket and a ledger of its own."""
    found = _CONFIGURATION.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found, "the README shows no configuration"
    home = place.parent / name
    text = (
        found[1]
        .replace("/data/tables", f"{place.absolute()}/tables")
        .replace("/data/", f"{home.absolute()}/")
    )
    home.mkdir()
    file = home / "acme.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _printed(*words: str) -> str:
    """Standard output of a command that succeeds."""
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout
