"""The command line as docs/commands.md shows it: every command, its options and an example, as `-h` has them."""

from __future__ import annotations

from typing import Any

import typer

from rover_spark.cli import app
from tests.documents.blocks import fenced, table

_COMMON = ("config", "as_json", "verbose")  # the parameters that commands share
_TAKES = {"config": "FILE", "destination": "URL"}  # where the option's own name says too little


def commands() -> str:
    """All commands in the order of `rover-spark -h`."""
    program: Any = typer.main.get_command(app)
    found = dict(program.commands)
    some = found["status"]
    parts = [
        table(
            ("command", "does"),
            [(f"[`{name}`](#{_anchor(name)})", each.help) for name, each in found.items()],
        ),
        "These options are common to all; `demo` takes no `-c`, and `conform`, `ddl` and `load` need none.\n",
        table(("option", "meaning"), [_option(each) for each in some.params if each.name in _COMMON]),
    ]
    for name, each in found.items():
        options = [_option(param) for param in each.params if param.name not in _COMMON]
        parts += [
            f"## rover-spark {name}\n",
            f"{each.help}\n",
            fenced("console", f"$ {each.epilog.removeprefix('Example: ')}"),
        ]
        parts += [table(("option", "meaning"), options)] if options else []
    return "\n".join(parts)


def _anchor(name: str) -> str:
    return f"rover-spark-{name}"


def _option(param: Any) -> tuple[str, str]:
    notes = [param.help]
    if param.required:
        notes.append("Required.")
    if param.param_type_name == "argument":
        return f"`{param.metavar}`", " ".join(notes)
    longest = sorted(param.opts, key=len)
    takes = (
        ""
        if param.is_flag
        else f" {param.metavar or _TAKES.get(param.name) or longest[-1].lstrip('-').upper()}"
    )
    if param.envvar:
        notes.append(f"Or the variable `{param.envvar}`.")
    if not param.is_flag and param.default not in (None, "", (), 0) and not param.required:
        notes.append(f"Default: `{param.default}`.")
    return ", ".join(f"`{each}{takes if each == longest[-1] else ''}`" for each in longest), " ".join(notes)
