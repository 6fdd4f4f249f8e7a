"""Configuration file and environment, read once, into frozen values.

Promises that whatever passes here is well formed: known keys, right types, a destination that can be opened,
expressions that give the same value each time they are evaluated. Refuses everything else
with one ConfigError that names the keys. Opens no table and no store.

Environment variables override the file: ``ROVER_SPARK__FILES__MAX_BYTES=1000000``, one ``__`` per level, names
matched without regard to case, lists and tables written as TOML.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from rover_spark.config.access import Access, Frozen, TableAccess
from rover_spark.config.currents import CurrentsSettings, EventSettings, check_integration
from rover_spark.config.expressions import Expression, Number, Start, Table, place_of
from rover_spark.config.manifests import ManifestSettings, check_manifests, manifests_of
from rover_spark.config.mistakes import described, likely
from rover_spark.config.urls import bucket_of, url_of
from rover_spark.contract.keys import EXPORTS, PARTITIONS
from rover_spark.contract.rover import DATASETS, RESERVED, SPREAD, Dataset
from rover_spark.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENV_PREFIX = "ROVER_SPARK__"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class FilesSettings(Frozen):
    """How rows are cut into files. Sizes are bytes before compression; the level is igzip's, 0 to 3."""

    target_records: Number = Field(100_000, ge=1)
    max_bytes: Number = Field(268_435_456, ge=1)
    max_record_bytes: Number = Field(1_000_000, ge=1)
    compression_level: Number = Field(1, ge=0, le=3)
    publish_at_once: Number = Field(8, ge=1, le=64)
    layout: Literal["auto", "hash"] = "auto"
    reader: Literal["auto", "arrow", "spark"] = "auto"


class TextSettings(Frozen):
    """What becomes of text that breaks some loads: kept as the source has it, or mended in the record."""

    duplicate_keys: Literal["keep", "last"] = "keep"
    nul: Literal["keep", "replace"] = "keep"
    big_integers: Literal["keep", "string"] = "keep"


class DatasetSettings(Frozen):
    """Where a dataset's rows come from and how they map to the contract's fields (contract field = SQL expression)."""

    table: Table
    columns: dict[str, Expression] = Field({})
    identifiers: dict[str, Expression] | None = None
    natural_key: tuple[str, ...] | None = Field(None, min_length=1)
    where: Expression | None = None
    extra: dict[str, Expression] = Field({})
    deletes: Literal["suppress", "tombstone"] = "suppress"
    start: Start = "enable"
    dedupe: bool = False


class Settings(Frozen):
    """One export: its name, where it delivers, where its ledger lies, and its datasets."""

    name: str
    contract: Literal["rover", "currents"] = "rover"
    destination: str
    ledger: Table
    files: FilesSettings = FilesSettings()
    text: TextSettings = TextSettings()
    store: Access = Access()
    manifests: ManifestSettings = ManifestSettings()
    tables: TableAccess = TableAccess()
    datasets: dict[str, DatasetSettings] = Field({})
    currents: CurrentsSettings | None = None
    events: dict[str, EventSettings] = Field({})

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("takes 1 to 64 letters, digits, '-' and '_', beginning with a letter or digit")
        return value

    @field_validator("destination")
    @classmethod
    def _destination(cls, value: str) -> str:
        return url_of(value)

    @property
    def delivers(self) -> tuple[str, ...]:
        """The streams that the ledger counts batches of: the datasets, or all events of an integration as one."""
        return tuple(self.datasets) if self.contract == "rover" else ("events",)

    @property
    def parts(self) -> tuple[str, ...]:
        """The event types that are delivered together as one stream; none where every dataset is a stream of its own."""
        return tuple(self.events)

    @property
    def access(self) -> Access:
        """Access to today's destination."""
        return self.access_at(self.destination)

    @property
    def manifests_at(self) -> str | None:
        """The URL below which completion manifests are published; None where there are none."""
        return manifests_of(self.manifests, self.contract, self.destination)

    def access_at(self, destination: str) -> Access:
        """``store``, with a staging place beside the prefix where receivers read everything below it.

        A place of manifests has its own: ``store.staging`` may lie in another bucket.
        """
        if destination != self.destination and destination == self.manifests_at:
            return self.store.model_copy(update={"staging": None})
        scheme, _, rest = destination.partition("://")
        above, _, last = rest.rpartition("/")
        derived = self.contract == "currents" and scheme in {"file", "gs"} and above and last
        if self.store.staging or not derived:
            return self.store
        return self.store.model_copy(update={"staging": f"{scheme}://{above}"})

    @property
    def receives(self) -> str:
        """The folder below the prefix that receivers read; it may hold only deliveries."""
        return self.currents.integration.name if self.currents else EXPORTS

    @model_validator(mode="after")
    def _contract(self) -> Settings:
        if self.contract == "currents":
            if self.datasets:
                raise ValueError("contract: datasets belong to rover; currents delivers events")
            if "text" in self.model_fields_set:
                raise ValueError('text: belongs to contract = "rover"; an Avro file holds no JSON lines')
            check_integration(self.currents, self.events)
            check_manifests(self.manifests, self.contract, self.destination, self.receives)
            return self
        if self.currents is not None or self.events:
            raise ValueError('currents and events: belong to contract = "currents"')
        if not self.datasets:
            raise ValueError("datasets: there is none; name at least one")
        check_manifests(self.manifests, self.contract, self.destination, self.receives)
        return self

    @model_validator(mode="after")
    def _datasets(self) -> Settings:
        for name, dataset in self.datasets.items():
            if name not in DATASETS:
                raise ValueError(
                    f"datasets.{name}: unknown dataset{likely(name, DATASETS)}; there are {', '.join(DATASETS)}"
                )
            _check_dataset(DATASETS[name], dataset)
        if self.store.staging and not self.store.staging.startswith(bucket_of(self.destination)):
            raise ValueError("store.staging: must lie in the destination's own bucket or file system")
        if (
            self.access.staging is None
            and self.contract == "currents"
            and self.destination.startswith(("gs://", "file://"))
        ):
            raise ValueError(
                "destination: receivers read all below it, and staging has no place beside it: "
                "add a prefix, as gs://BUCKET/PREFIX, or for a directory set store.staging"
            )
        inside = f"{self.access.staging}/".startswith(f"{self.destination}/")
        if inside and self.contract == "currents":
            raise ValueError("store.staging: lies inside the destination, where receivers read all there is")
        if misplaced := self.store.misplaced(self.destination.partition("://")[0]):
            raise ValueError(
                f"store.{min(misplaced)}: has no effect on {self.destination.partition('://')[0]}://"
            )
        bucket = self.destination.removeprefix("file://") + "/"
        if (place_of(self.ledger) + "/").startswith(bucket):
            raise ValueError("ledger: lies inside the destination, where receivers read")
        if self.manifests.place and f"{place_of(self.ledger)}/".startswith(
            f"{self.manifests.place.removeprefix('file://')}/"
        ):
            raise ValueError("ledger: lies inside manifests.place, where receivers read")
        return self


def _check_dataset(contract: Dataset, dataset: DatasetSettings) -> None:
    where = f"datasets.{contract.name}"
    names = [field.name for field in contract.fields]
    for column in dataset.columns:
        if column not in names:
            raise ValueError(
                f"{where}.columns.{column}: no such field{likely(column, names)}; there are {', '.join(names)}"
            )
    _check_identifiers(where, contract, dataset)
    taken = {name.casefold(): name for name in (*RESERVED, *PARTITIONS, *names)}
    for extra in dataset.extra:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", extra, re.ASCII):
            raise ValueError(f"{where}.extra.{extra}: not a name an additional field can take")
        if (other := taken.get(extra.casefold())) is not None:
            alike = "" if extra == other else ", and many readers do not look at the case"
            raise ValueError(
                f"{where}.extra.{extra}: the name {other} is taken{alike}; name the field otherwise"
            )
        taken[extra.casefold()] = extra
    allowed = [field.name for field in contract.fields if field.kind != "json"] + list(dataset.extra)
    if contract.operation:
        allowed.append("operation")
    for part in dataset.natural_key or ():
        if part not in allowed:
            raise ValueError(
                f"{where}.natural_key: {part} cannot be part of it{likely(part, allowed)}; there are {', '.join(allowed)}"
            )
    if dataset.deletes == "tombstone" and contract.name != "fan_profiles":
        raise ValueError(f"{where}.deletes: only fan_profiles knows tombstones")
    if dataset.start != "enable" and contract.snapshot:
        raise ValueError(
            f"{where}.start: this dataset begins with a snapshot; only fan_track_events takes it"
        )


def _check_identifiers(where: str, contract: Dataset, dataset: DatasetSettings) -> None:
    if dataset.identifiers is None:
        return
    if contract.name != "fan_identity_graph":
        raise ValueError(f"{where}.identifiers: only fan_identity_graph is made of identifiers")
    if both := [name for name in SPREAD if name in dataset.columns]:
        raise ValueError(f"{where}.columns.{both[0]}: identifiers give it; take one of the two out")
    if not dataset.identifiers:
        raise ValueError(f"{where}.identifiers: there is none; name at least one")
    for name in dataset.identifiers:
        if not 1 <= len(name) <= 100 or any(unicodedata.category(char) == "Cc" for char in name):
            raise ValueError(
                f"{where}.identifiers.{name[:100]!r}: a name takes 1 to 100 characters, and no control characters"
            )


def load(path: Path | str, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a TOML file and the environment.

    Raises:
        ConfigError: unreadable file, or every key that cannot be taken.
    """
    try:
        tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"cannot read the configuration {path}: {reason}",
            code="config_unreadable",
            remedy="Name a readable file.",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not TOML: {error}",
            code="config_syntax",
            remedy="Mend the line that the message names.",
        ) from None
    overlay(tree, os.environ if environ is None else environ)  # noqa: TID251 - read here and nowhere else
    for event in tree.get("events", {}).values() if isinstance(tree.get("events"), dict) else ():
        if isinstance(event, dict) and isinstance(event.get("schema"), str):
            event["schema"] = str(Path(path).parent / event["schema"])
    return parse(tree, Path(path).absolute().parent)


def parse(tree: Mapping[str, Any], directory: Path | None = None) -> Settings:
    """Settings from a tree of tables and values. Raises ConfigError that names every key that cannot be taken.

    ``directory`` is that of the file: what a relative path was likely meant to be, which is refused all the same.
    """
    try:
        return Settings.model_validate(dict(tree), context=directory)
    except ValidationError as error:
        mistakes = described(error, Settings)
        which = "those keys" if "; " in mistakes else "that key"
        raise ConfigError(
            f"configuration: {mistakes}",
            code="config_invalid",
            remedy=f"Mend {which}; conf/reference.toml explains each one.",
        ) from None


def overlay(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Lays ``ROVER_SPARK__A__B=value`` over ``tree["a"]["b"]``, in place."""
    for variable in sorted(environ):
        if not variable.upper().startswith(ENV_PREFIX):
            continue
        *parents, last = variable[len(ENV_PREFIX) :].split("__")
        node = tree
        for part in parents:
            node = node.setdefault(_known(part, node), {})
            if not isinstance(node, dict):
                raise ConfigError(
                    f"{variable}: {part} is a value, not a table",
                    code="config_invalid",
                    remedy="Check the variable.",
                )
        node[_known(last, node)] = _env_value(environ[variable])


def _known(part: str, node: Mapping[str, Any]) -> str:
    contract_names = (field.name for dataset in DATASETS.values() for field in dataset.fields)
    candidates = {name.casefold(): name for name in (*contract_names, *node)}
    return candidates.get(part.casefold(), part.lower())


def _env_value(text: str) -> Any:
    if text[:1] in {"[", "{"}:
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text
