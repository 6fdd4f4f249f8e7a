"""What the documents show is parsed, and run as far as it can be without the machine that it is for.

Every fenced block has a language that this file knows; every `rover-spark …`, in blocks, in prose and in the package's own
remedies, names a command and options that exist.
"""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from rover_spark.audit.found import DatasetStatus
from rover_spark.cli import app
from rover_spark.config.settings import parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = typer.main.get_command(app)
COMMANDS = PROGRAM.commands  # type: ignore[attr-defined]
OF_ALL = {"-h", "--help", *(name for each in PROGRAM.params for name in each.opts)}


@dataclass(frozen=True)
class Block:
    """A fenced block and where it begins."""

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}-{self.language or 'none'}"


def blocks_in(path: Path) -> Iterator[Block]:
    language, begin, lines = None, 0, list[str]()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(\w*)\s*$", line)
        if fence is None:
            lines.append(line)
        elif language is None:
            language, begin, lines = fence[1], number, []
        else:
            yield Block(path.name, begin, language, "\n".join(lines) + "\n")
            language = None
    assert language is None, f"{path.name}: the block of line {begin} has no end"


BLOCKS = [block for path in DOCUMENTS for block in blocks_in(path)]


def of(*languages: str) -> Any:
    chosen = [each for each in BLOCKS if each.language in languages]
    assert chosen, f"no document has a block of {languages}"
    return pytest.mark.parametrize("block", chosen, ids=str)


def test_every_block_has_a_language_that_is_looked_at_here() -> None:
    known = {"toml", "json", "yaml", "ini", "crontab", "python", "console", "sql", "text"}
    assert not [str(block) for block in BLOCKS if block.language not in known]


# -- configuration -------------------------------------------------------------------------------------------


@of("toml")
def test_toml_is_a_configuration_or_a_part_of_one(block: Block) -> None:
    tree = tomllib.loads(block.text)
    base: dict[str, Any] = {
        "name": "acme",
        "destination": "file:///data/bucket",
        "ledger": "/data/control/acme",
    }
    if "events" not in tree and "currents" not in tree:
        base["datasets"] = {"fan_profiles": {"table": "/data/tables/fan_profiles"}}
    assert parse({**base, **tree}).name


@of("json")
def test_json_is_one_document_or_a_record_a_line(block: Block) -> None:
    lines = block.text.splitlines()
    records = lines if all(line.startswith('{"id":') for line in lines) else [block.text]
    assert all(isinstance(json.loads(each), dict) for each in records)


# -- schedulers ----------------------------------------------------------------------------------------------

WITHIN = {"Unit", "Service", "Timer", "Install"}
FIELD = r"(\*|\d+(-\d+)?(,\d+)*)(/\d+)?"


@of("ini")
def test_a_unit_is_one_of_systemd_that_starts_what_exists(block: Block) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True, comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block.text)
    assert set(unit.sections()) <= WITHIN
    name = block.text.splitlines()[0]
    assert re.fullmatch(r"# /etc/systemd/system/[\w-]+\.(service|timer)", name)
    if name.endswith(".timer"):
        assert unit["Timer"]["OnCalendar"] and unit["Install"]["WantedBy"] == "timers.target"
        return
    program, *_ = shlex.split(unit["Service"]["ExecStart"])
    assert program.startswith("/") and program.endswith("/rover-spark")
    if "--every" in unit["Service"]["ExecStart"]:
        # systemd would send SIGTERM to the JVM, too, and start a wrong configuration again and again
        assert (unit["Service"]["KillMode"], unit["Service"]["RestartPreventExitStatus"]) == ("mixed", "2")
        assert unit["Service"]["Type"] == "exec"
    else:
        assert unit["Service"]["Type"] == "oneshot"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
@of("ini")
def test_systemd_knows_every_key_of_a_unit(block: Block, tmp_path: Path) -> None:
    name = tmp_path / block.text.splitlines()[0].rpartition("/")[2]
    name.write_text(re.sub(r"/opt/\S+", "/bin/true", block.text).replace("User=rover", "User=root"))
    if name.suffix == ".timer":
        name.with_suffix(".service").write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", name], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@of("crontab")
def test_a_crontab_has_five_fields_and_a_command_without_a_percent_sign(block: Block) -> None:
    commands = 0
    for line in block.text.splitlines():
        if re.fullmatch(r"[A-Z_]+=\S+", line):
            continue
        found = re.fullmatch(rf"({FIELD} +){{5}}(?P<command>\S.*)", line)
        assert found, line
        assert "%" not in found["command"], "cron takes it for the end of the line"
        assert shlex.split(found["command"])[0] == "rover-spark"
        commands += 1
    assert commands


@of("yaml")
def test_a_bundle_runs_the_wheels_entry_point_and_never_two_runs_at_once(block: Block) -> None:
    tree = yaml.safe_load(block.text)
    jobs = tree["resources"]["jobs"].values()
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    clusters = {each["job_cluster_key"] for job in jobs for each in job["job_clusters"]}
    for job in jobs:
        assert job["max_concurrent_runs"] == 1
        assert len(job["schedule"]["quartz_cron_expression"].split()) == 6
        for task in job["tasks"]:
            wheel = task["python_wheel_task"]
            assert wheel["package_name"] == "rover_spark" and wheel["entry_point"] in scripts
            assert task["job_cluster_key"] in clusters
            assert wrong(wheel["parameters"]) is None


# -- Python --------------------------------------------------------------------------------------------------


@of("python")
def test_python_compiles_and_imports_nothing_of_ours_that_is_not_there(block: Block) -> None:
    tree = ast.parse(block.text)
    compile(tree, str(block), "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rover_spark"):
            module = __import__(node.module or "", fromlist=[each.name for each in node.names])
            assert all(hasattr(module, each.name) for each in node.names)
    if block.text.startswith("# airflow"):
        (dag,) = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "DAG")
        arguments = {each.arg: ast.unparse(each.value) for each in dag.keywords}
        assert arguments["max_active_runs"] == "1" and arguments["catchup"] == "False"


def test_the_monitor_sees_what_status_says() -> None:
    (block,) = (each for each in BLOCKS if each.language == "python" and "def alarms" in each.text)
    names: dict[str, Any] = {"__name__": "watch"}
    exec(compile(block.text, str(block), "exec"), names)
    fields = dict.fromkeys(DatasetStatus.__dataclass_fields__)
    well = DatasetStatus(**{**fields, "dataset": "fan_profiles", "days_left": 6.5})  # type: ignore[arg-type]
    late = DatasetStatus(**{**fields, "dataset": "fan_track_events", "days_left": 1.25})  # type: ignore[arg-type]
    lost = {**asdict(well), "problem": {"code": "source_gap", "message": "gone.", "remedy": "Run it."}}
    waits = {**asdict(well), "waits": {"code": "source_changed", "message": "differs.", "remedy": "Confirm."}}
    document = {"datasets": [asdict(well), asdict(late), lost, waits]}
    assert list(names["alarms"](document)) == [
        "fan_track_events: undelivered changes expire in 1.2 days",
        "fan_profiles: gone. Run it.",
        "fan_profiles: differs. Confirm.",
    ]


def test_the_fields_to_watch_are_fields_of_status() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("| field | alert where |")[2].partition("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert named and named <= {*DatasetStatus.__dataclass_fields__, "quarantined"}


# -- commands ------------------------------------------------------------------------------------------------


def wrong(words: list[str]) -> str | None:
    """What no such program takes, of the words after `rover-spark`; None where it takes all of them."""
    if not words or words[0] in OF_ALL:
        return None
    if words[0] not in COMMANDS:
        return f"no command {words[0]}"
    params = COMMANDS[words[0]].params
    options = {name: each for each in params for name in (*each.opts, *each.secondary_opts)}
    arguments = sum(each.param_type_name == "argument" for each in params)
    rest = iter(words[1:])
    for word in rest:
        name, given, _ = word.partition("=")
        if name in OF_ALL:
            continue
        if not name.startswith("-"):
            arguments -= 1
            if arguments < 0:
                return f"{words[0]} takes no argument {word}"
            continue
        if name not in options:
            return f"{words[0]} has no option {name}"
        if not getattr(options[name], "is_flag", False) and not given:
            value = next(rest, None)
            if value is None or value.startswith("-"):
                return f"{words[0]} {name} lacks its value"
    return None


ENDS = re.compile(r"\d?>>?|<|\|\|?|&&|;|#|\\")  # where a shell's own words begin
PLACEHOLDERS = re.compile(r"[\[\]]|…|\.\.\.")


def invocations(text: str) -> Iterator[list[str]]:
    """The words after each `rover-spark` (or a job's path) that a line of a shell, a unit or a program holds."""
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        if line.startswith("#"):
            continue
        found = re.search(r"(?<![\w/.-])(?:/[\w./-]+/)?rover-spark(?= [a-z-])(.*)", line)
        job = re.search(r"(?:jobs/|-m rover_spark\.jobs\.)(\w+)(?:\.py)? (.*)", line)
        if job is not None:
            assert (ROOT / "rover_spark" / "jobs" / f"{job[1]}.py").exists(), line
            options = job[2].partition(" -- ")[2] or job[2]
            yield [job[1], *words_of(options)]
        elif found is not None:
            yield words_of(found[1])


def words_of(text: str) -> list[str]:
    words = []
    for word in re.findall(r"'[^']*'|\"[^\"]*\"|\S+", PLACEHOLDERS.sub(" ", text)):
        if ENDS.match(word):
            break
        # what a program puts around a command, or a sentence after it
        words.append(word.strip("'\"").rstrip("\"',;:)"))
    return [word for word in words if word]


@of("console", "crontab", "ini", "python", "text")
def test_a_command_in_a_block_exists_with_its_options(block: Block) -> None:
    found = [(words, problem) for words in invocations(block.text) if (problem := wrong(words))]
    assert not found


@of("console", "crontab")
def test_a_shell_understands_each_line(block: Block) -> None:
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
        assert lines
    else:
        lines = [
            re.sub(r"^([^ ]+ +){5}", "", line) for line in text.splitlines() if "=" not in line.split()[0]
        ]
    done = subprocess.run(["bash", "-n"], input="\n".join(lines), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_job_says_itself_how_it_is_called() -> None:
    for path in (*(ROOT / "jobs").glob("*.py"), *(ROOT / "rover_spark" / "jobs").glob("[a-z]*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""
        found = list(
            invocations("\n".join(line for line in docstring.splitlines() if line.startswith("    ")))
        )
        assert found and all(words[0] == path.stem and wrong(words) is None for words in found), path


def spans() -> list[str]:
    """`rover-spark …` in the prose and tables of the documents."""
    prose = "".join(
        re.sub(r"```.*?```", "", each.read_text(encoding="utf-8"), flags=re.DOTALL) for each in DOCUMENTS
    )
    return [
        each for each in re.findall(r"`([^`]+)`", prose.replace("\n", " ")) if each.startswith("rover-spark ")
    ]


def test_a_command_in_prose_exists_with_its_options() -> None:
    found = spans()
    assert len(found) > 20
    assert not [(each, problem) for each in found if (problem := wrong(words_of(each[len("rover-spark") :])))]


def test_a_command_that_a_message_advises_exists_with_its_options() -> None:
    known = re.compile(
        r"rover-spark (?P<words>[a-z]+(?: --?[a-z-]+(?: (?:[A-Z]+|events|duckdb|[\w/-]*[._\d][\w./:-]*\w|\{[^{}]*\}))?)*)"
    )
    advised = set()
    for path in sorted((ROOT / "rover_spark").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        pieces = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            text = ""
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
                text = node.value
            elif isinstance(node, ast.JoinedStr):
                text = "".join(str(p.value) if isinstance(p, ast.Constant) else "{x}" for p in node.values)
            advised |= {(path.name, found["words"]) for found in known.finditer(text)}
    advised = {(name, words) for name, words in advised if words.split()[0] in COMMANDS or " -" in words}
    assert len(advised) > 5
    assert not [(each, problem) for each in sorted(advised) if (problem := wrong(each[1].split()))]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rover-spark export -c FILE --json >> log 2> err || tail err", None),
        ("/opt/x/bin/rover-spark export -c a.toml --every 5m", None),
        ("rover-spark export -c FILE --adopt-empty-ledgers", "export has no option --adopt-empty-ledgers"),
        ("rover-spark deliver -c FILE", "no command deliver"),
        ("rover-spark rerun -c FILE --dataset", "rerun --dataset lacks its value"),
        ("rover-spark sweep -c FILE now", "sweep takes no argument now"),
        ("rover-spark conform one two", "conform takes no argument two"),
        ("spark-submit --packages a:b:1 jobs/export.py -c FILE --olderthan 7d", "export has no option --olderthan"),
        ('bash_command=f"rover-spark export -c {CONFIG} --jsn",', "export has no option --jsn"),
    ],
)  # fmt: skip
def test_a_command_that_does_not_exist_is_found(text: str, problem: str | None) -> None:
    (words,) = invocations(text)
    assert wrong(words) == problem


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    dataset_states = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", dataset_state.lower()).replace(" ", "-") for dataset_state in dataset_states
    }


def broken_links(path: Path) -> Iterator[str]:
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            yield link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(path: Path) -> None:
    assert not list(broken_links(path))


def test_a_broken_link_or_anchor_is_found(tmp_path: Path) -> None:
    page, other = tmp_path / "a.md", tmp_path / "b.md"
    other.write_text("# At three, in the *morning*\n")
    page.write_text(
        "[1](b.md#at-three-in-the-morning) [2](b.md#noon) [3](#here) [4](c.md) [5](https://x.org/y)\n"
    )
    assert list(broken_links(page)) == ["b.md#noon", "#here", "c.md"]


def test_every_page_is_reached_from_the_readme_which_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    assert not [path.name for path in DOCUMENTS[1:] if f"(docs/{path.name})" not in text]


# -- the wheel -----------------------------------------------------------------------------------------------


def test_the_wheel_says_what_it_is_and_holds_the_jobs(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        ROOT,
    ]
    subprocess.run(list(map(str, build)), check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("rover_spark-*.whl")
    home = tmp_path / "home"
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
        archive.extractall(home / "site")
    assert re.search(r"^Keywords: .*\bdelta-lake\b", metadata, re.MULTILINE)
    assert re.search(r"^Author: \S", metadata, re.MULTILINE)
    assert "Classifier: Topic :: System :: Distributed Computing" in metadata
    for job in sorted(path.stem for path in (ROOT / "jobs").glob("*.py")):
        into = ", '--into', 'lake/acme'" if job == "load" else ""
        program = f"import sys, runpy; sys.argv = ['job', '-c', 'none.toml'{into}]; runpy.run_module('rover_spark.jobs.{job}', run_name='__main__')"
        done = subprocess.run(
            [sys.executable, "-c", f"import rover_spark; print(rover_spark.__file__); {program}"],
            cwd=home,
            env={"PYTHONPATH": str(home / "site")},
            capture_output=True,
            text=True,
        )
        where, *_, last = done.stdout.strip().splitlines()
        assert Path(where) == home / "site" / "rover_spark" / "__init__.py"
        document = json.loads(last)
        assert (done.returncode, document["command"], document["problems"][0]["code"]) == (
            2,
            job,
            "config_unreadable",
        )


def test_the_jobs_for_spark_submit_are_those_of_the_package() -> None:
    for path in (ROOT / "jobs").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
        into = ("--into", "lake/acme") if path.stem == "load" else ()
        done = subprocess.run(
            [sys.executable, path, "-c", "none.toml", *into], capture_output=True, text=True, cwd=ROOT
        )
        assert json.loads(done.stdout.splitlines()[-1])["command"] == path.stem and done.returncode == 2
    inside = {path.stem for path in (ROOT / "rover_spark" / "jobs").glob("*.py")} - {"__init__"}
    assert inside == {path.stem for path in (ROOT / "jobs").glob("*.py")}
