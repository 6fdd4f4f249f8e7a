"""The command ``ddl``: statements and data contracts for a receiver's warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rover_spark.config.mistakes import likely
from rover_spark.errors import ConfigError
from rover_spark.face.results import DdlResult

if TYPE_CHECKING:
    from rover_spark.config.settings import Settings


def ddl(
    engine: str,
    settings: Settings | None = None,
    *,
    place: str = "",
    schema: str = "",
    datasets: Sequence[str] = (),
) -> DdlResult:
    """The statements for a warehouse, or with the engine ``odcs`` data contracts; without settings of all Rover datasets.

    Raises:
        ConfigError: no such engine or dataset, a place that the engine cannot read, sqlglot or PyYAML missing.
    """
    try:
        from rover_spark.consume.ddl import odcs, script
        from rover_spark.consume.ddl.engines import ENGINES
        from rover_spark.consume.ddl.scope import scope_of
    except ImportError as error:
        raise ConfigError(
            f"the Python package {error.name} is not installed",
            code="no_sdk",
            remedy="Install rover_spark[ddl].",
        ) from None
    known = sorted([*ENGINES, odcs.NAME])
    if engine not in known:
        raise ConfigError(
            f"--engine {engine}: there is no such engine{likely(engine, known)}",
            code="engine_unknown",
            remedy=f"There are {', '.join(known)}.",
        )
    scope = scope_of(settings, place=place, schema=schema, datasets=datasets)
    found = odcs.statements(scope) if engine == odcs.NAME else script.statements(ENGINES[engine], scope)
    return DdlResult(engine=engine, statements=found)
