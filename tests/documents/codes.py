"""The error codes of docs/commands.md: read from the package's syntax trees, each with its class and a meaning from here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from rover_spark import errors
from tests.documents.blocks import ROOT, table

_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
_PAIRS = (
    ROOT / "rover_spark" / "produce" / "currents" / "audit.py"
)  # gives (code, message), not a Problem yet

MEANINGS = {
    "accept_refused": "`accept` cannot confirm this: nothing differs, or only a rerun can confirm it",
    "account_ambiguous": "Azure: `store.endpoint` and the connection string name different accounts",
    "account_invalid": "Azure: the credentials or the connection string do not fit the account",
    "account_missing": "Azure: no account is named",
    "age_invalid": "an option does not hold an age, as 7d, 12h or 30m",
    "batch_unknown": "the ledger has no such batch, or not in a state in which it can be delivered again",
    "bytes_differ": "a batch that was staged again has other bytes than before",
    "changes_expire": "undelivered changes expire within two days",
    "check_failed": "a try of `check` failed",
    "chunk_split": "Spark gave the rows of one data file to two tasks; a batch that is not STAGED is aborted",
    "column_missing": "an expression cannot be evaluated on the table, or no column gives a field of the schema",
    "column_taken": "the table has a column with a name that `identifiers` gives",
    "column_type": "a column has a type that the field cannot take",
    "config_invalid": "a setting is wrong",
    "config_syntax": "the configuration file is no TOML",
    "config_unreadable": "the configuration file cannot be read",
    "counts_differ": "the counts of a batch do not add up",
    "dataset_busy": "another run delivers the dataset",
    "dataset_unknown": "the configuration names no such dataset",
    "demo_destination_taken": "the demo's bucket holds files already",
    "demo_dir_taken": "the demo's directory is in use already",
    "engine_unknown": "`ddl` knows no such warehouse, or `load` no such engine",
    "event_changed": "rows of an event table were updated or deleted",
    "feed_off": "the table keeps no change data feed (Currents: and is not append-only)",
    "field_missing": "`columns` names a field that the schema does not have",
    "file_refused": "the system refuses a file: full disk, no permission",
    "files_changed": "the data files that are the chunks of a batch of events cannot be read one by one any more; unless it is STAGED, it is planned anew",
    "files_unlisted": "the data files of a table are the chunks of a batch, and only Spark reads its log",
    "interrupted": "Ctrl-C or SIGTERM; says what is visible",
    "into_busy": "another process has the file of `load --into` open",
    "into_failed": "DuckDB cannot go on; what was loaded before is kept",
    "into_invalid": "`load --into` names no DuckDB file that can be written",
    "into_newer": "a newer version made the file of `load --into`",
    "jars_not_found": "Spark's packages could not be fetched",
    "java_not_started": "Java did not start",
    "key_differs": "a file of a batch has a key that was not planned",
    "key_invalid": "a key leads out of the destination",
    "key_taken": "a key holds another payload; nothing was replaced",
    "ledger_adopted": "a dataset began anew under an empty ledger, as you asked",
    "ledger_conflict": "another driver recorded its transitions first, ten times",
    "ledger_failed": "without Spark the ledger could not be read or written; the message ends with the reason",
    "ledger_foreign": "the table that `ledger` names is no ledger",
    "ledger_missing": "the catalog has no schema for the ledger's table",
    "ledger_newer": "a newer version wrote the ledger",
    "ledger_unaware": "the bucket holds files that this ledger does not know",
    "ledger_unconditional": "the S3 server of the ledger ignores the condition of a put, so two drivers could both win",
    "ledger_unwritable": "the ledger's directory cannot be written",
    "load_quarantined": "`load` put lines, objects or manifests into the quarantine; all else is loaded",
    "loader_unknown": "`conform --for` knows no such loader",
    "name_invalid": "a schema or an additional field has a name that no warehouse should get",
    "no_avro": "Spark's Avro package is not loaded",
    "no_delta": "the session has no Delta",
    "no_sdk": "a Python package of an extra is not installed",
    "no_spark": "PySpark is not installed",
    "now_invalid": "`--now` or `--since` holds no instant",
    "now_too_early": "`--now` lies before the last batch",
    "now_without_zone": "`--now` has no time zone",
    "object_changed": "an object has other bytes or other content than was delivered",
    "object_foreign": "an object where receivers read that the ledger does not know",
    "object_missing": "a delivered object is gone",
    "object_unreadable": "an object cannot be read",
    "offsets_differ": "offsets of events leave a gap or overlap",
    "place_ambiguous": "`load` finds several exports at that place",
    "place_invalid": "`--place` names no bucket or directory, or one that the warehouse cannot read by itself",
    "place_unknown": "`conform` or `load` finds no such directory, or no bucket at such a URL",
    "plan_missing": "the ledger holds a COMMITTED batch without its plan",
    "plan_newer": "a newer version planned a batch",
    "process_ended": "a process of `conform` was ended from outside, as where memory runs out",
    "reader_refused": "the native reader met a data file that only Spark can read; the run goes on with Spark's reader, from the plan on unless the batch is STAGED",
    "rerun_refused": "`rerun` is not possible: nothing was delivered yet, or `--accept-gap` is wrong or missing",
    "rows_differ": "a plan gave other rows than before",
    "rows_quarantined": "rows went to the quarantine",
    "schema_breaking": "an event type's schema changed in a way that breaks readers",
    "schema_differs": "a file has another schema than was registered",
    "schema_invalid": "an event type's schema is not valid",
    "schema_missing": "the warehouse reads Avro by a schema, and the configuration names none",
    "schemas_refused": "a Rover export has no schemas, or a whole bucket leaves no place to publish them",
    "source_changed": "settings of a delivered dataset changed and wait for a confirmation",
    "source_gap": "source versions cannot be read without losing changes",
    "source_missing": "there is no Delta table at that place, or it may not be read",
    "spark_failed": "Spark failed; the message ends with its first line",
    "spark_gone": "Spark's Java process ended",
    "spark_version": "no Delta is known for this version of Spark",
    "staged_lost": "staged files are gone before they were published",
    "store_refused": "the bucket refused or did not answer",
    "store_unreadable": "`verify` needs `store.can_read`",
    "text_replaced": "U+FFFD stands for characters that are not valid",
    "threshold_differs": "a file holds more or fewer events than planned",
    "unexpected": "a fault of rover_spark",
}
# exit codes that no class decides
EXITS = {
    "changes_expire": "0",
    "dataset_busy": "1; `export` without `--strict`: 0",
    "interrupted": "130, 143",
    "ledger_adopted": "0",
    "load_quarantined": "0; 1 with `--strict`",
    "rows_quarantined": "0; 1 with `--strict`",
    "source_changed": "1; 2 where every dataset waits",
    "text_replaced": "0",
}


class Code(NamedTuple):
    """A code and a place that gives it: a class of errors, or ``Problem`` for a finding that is no exception."""

    code: str
    kind: str


def found() -> set[Code]:
    """Each code that the package spells out."""
    return {
        each
        for path in sorted((ROOT / "rover_spark").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for each in _codes(node, pairs=path == _PAIRS)
    }


def _codes(node: ast.AST, *, pairs: bool) -> Iterator[Code]:
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        yield from (
            Code(code, name) for each in node.keywords if each.arg == "code" for code in _text(each.value)
        )
        if name in ("Problem", "problem") and node.args:
            yield from (Code(code, "Problem") for code in _text(node.args[0]))
    elif isinstance(node, ast.ClassDef):  # a class of one code has it as the default of its keyword
        given = [
            each.args for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"
        ]
        yield from (
            Code(code, node.name)
            for args in given
            for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)
            if arg.arg == "code" and default is not None
            for code in _text(default)
        )
    elif pairs and isinstance(node, ast.Tuple) and len(node.elts) == 2:
        yield from (Code(code, "Problem") for code in _text(node.elts[0]) if "_" in code)


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
        yield node.value


def codes() -> str:
    """One row a code, in the order of the alphabet."""
    kinds = dict[str, list[str]]()
    for code, kind in sorted(found()):
        kinds.setdefault(code, []).append(kind)
    rows = [
        (f"`{code}`", _classes(each), EXITS.get(code) or _exits(each), MEANINGS[code])
        for code, each in kinds.items()
    ]
    return table(("code", "class", "exit code", "meaning"), rows)


def _classes(kinds: list[str]) -> str:
    return ", ".join(f"`{each}`" for each in kinds if each != "Problem") or "–"


def _exits(kinds: list[str]) -> str:
    """A finding without a class fails its command."""
    return " or ".join(sorted({str(getattr(getattr(errors, each), "exit_code", 1)) for each in kinds}))
