"""The tables of docs/configuration.md: names, values and defaults from the settings models, remarks from conf/reference.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rover_spark.config.access import Access, TableAccess
from rover_spark.config.currents import CurrentsSettings, EventSettings
from rover_spark.config.manifests import ManifestSettings
from rover_spark.config.settings import DatasetSettings, FilesSettings, Settings, TextSettings
from tests.documents.blocks import ROOT, table

# the tables of a configuration: as it is written, the model, how conf/reference.toml begins its keys
_TABLES: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("Top level", Settings, ""),
    ("`[files]`", FilesSettings, "files."),
    ("`[text]`", TextSettings, "text."),
    ("`[store]`", Access, "store."),
    ("`[manifests]`", ManifestSettings, "manifests."),
    ("`[tables]`", TableAccess, "tables."),
    ("`[datasets.NAME]`", DatasetSettings, "datasets.fan_"),
    ("`[currents]`", CurrentsSettings, "currents."),
    ('`[events."EVENT.TYPE"]`', EventSettings, "events."),
)
_HEADER = re.compile(r"(?:# )*\[(?P<table>[^\]]+)\]")
_KEY = re.compile(r"(?:# )*(?P<key>[a-z_]+) += .*?\s{2,}# (?P<remark>.*)")
_DEFAULT = re.compile(
    r"(?P<whose>(?:(?:s3|gs|az|file)(?:, )?)+)?(?:; )?(?:required|default(?:: (?P<default>[^;]+))?); "
)
# a quoted word, a table, an address, a name with an underscore or a dot
_CODE = re.compile(r"\"[^\" ]+\"(:true)?|\[[a-z]+\]|\b[a-z0-9]+://[\w/]+|\b[a-z]+(?:[_.][a-zA-Z]+)+\b")
_WORDS = {bool: "true or false", str: "text", dict: "table", tuple: "list", int: "number"}


def remarks() -> dict[str, str]:
    """What conf/reference.toml says of each setting where it stands first, by its dotted path."""
    found: dict[str, str] = {}
    inside = ""
    for line in (ROOT / "conf" / "reference.toml").read_text(encoding="utf-8").splitlines():
        if header := _HEADER.fullmatch(line):
            inside = f"{header['table']}."
        elif (key := _KEY.fullmatch(line)) and _DEFAULT.match(key["remark"]):
            found.setdefault(f"{inside}{key['key']}", key["remark"])
    return found


def settings() -> str:
    """Every setting, a table for each table of the configuration."""
    return "\n".join(
        f"### {title}\n\n" + table(("key", "value", "default", "meaning"), list(_rows(model, begin)))
        for title, model, begin in _TABLES
    )


def _rows(model: type[BaseModel], begin: str) -> Iterator[tuple[str, ...]]:
    known = remarks()
    for name, field in model.model_fields.items():
        key = field.alias or name
        mine = [
            text for path, text in known.items() if path.startswith(begin) and path.rpartition(".")[2] == key
        ]
        if not begin:
            mine = [known[key]] if key in known else []
            if not mine:  # a table of its own
                continue
        assert mine, (
            f"conf/reference.toml says nothing of {begin}{key}, or does not begin with required or default"
        )
        said = _DEFAULT.match(mine[0])
        assert said
        meaning = mine[0][said.end() :]
        whose = f"{said['whose']}: " if said["whose"] else ""
        yield f"`{key}`", _values(field), _default(field, said["default"]), whose + _marked(meaning)


def _values(field: FieldInfo) -> str:
    """What a setting takes, in words."""
    limits = {
        name: getattr(each, name) for each in field.metadata for name in ("ge", "le") if hasattr(each, name)
    }
    if limits:
        return (
            f"number, {limits['ge']} to {limits['le']}" if "le" in limits else f"number from {limits['ge']}"
        )
    return " or ".join(_kinds(field.annotation))


def _kinds(annotation: Any) -> list[str]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin is Literal:
        return [f"`{json.dumps(each)}`" for each in get_args(annotation)]
    if origin in (Union, UnionType):
        return [kind for each in get_args(annotation) if each is not type(None) for kind in _kinds(each)]
    return [_WORDS[origin or annotation]]


def _default(field: FieldInfo, said: str | None) -> str:
    if field.is_required():
        return "required"
    return said or f"`{json.dumps(field.default)}`"


def _marked(text: str) -> str:
    """A remark with its values in code, as Markdown wants them."""
    return _CODE.sub(lambda each: f"`{each[0]}`", text)
