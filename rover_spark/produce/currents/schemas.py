"""The schemas of an integration as pages for receivers: one .avsc each and a changelog, beside the prefix.

Receivers search all keys that begin with the prefix, and no key of a page does. Pages have the same bytes each time; a
changelog names only files that are there.
Source: Currents, "Apache Avro format".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rover_spark.config import manifests
from rover_spark.config.settings import Settings
from rover_spark.contract.currents import CONTRACT
from rover_spark.errors import ConfigError
from rover_spark.model.dataset_state import BatchRecord
from rover_spark.model.schema import RegisteredSchema
from rover_spark.produce.currents.plan import event_plan
from rover_spark.store import below


def beside(destination: str) -> str:
    """The URL for the schemas of a destination: ``s3://bucket/schemas.acme`` for ``s3://bucket/acme``.

    Raises:
        ConfigError: the destination is a whole bucket, of which receivers read all.
    """
    try:
        return manifests.beside(destination, "schemas", "avsc")
    except ValueError as error:
        raise ConfigError(
            f"{destination} {error}: there is no place for schemas beside it",
            code="schemas_refused",
            remedy="Deliver below a prefix, or hand out what rover-spark schemas --json prints.",
        ) from None


def in_use(schemas: Iterable[RegisteredSchema], batches: Iterable[BatchRecord]) -> list[RegisteredSchema]:
    """The schemas that STAGED and COMMITTED batches use; no file has the ids of an aborted batch."""
    plans = (each.plan for each in batches if each.state in {"STAGED", "COMMITTED"})
    used = {
        one.schema_id
        for plan in plans
        if plan is not None and plan.contract == CONTRACT
        for one in event_plan(plan).slices
    }
    return [each for each in schemas if each.id in used]


def changelog(schemas: Sequence[RegisteredSchema]) -> str:
    """What changed, the newest first, as Markdown."""
    parts = ["# Schemas\n"]
    for each in reversed(schemas):
        lines = "\n".join(
            f"- {change}" for change in each.changes or ("the first schema of this event type",)
        )
        parts.append(f"## {each.id}: `{each.event_type}`\n\nSince batch {each.batch}.\n\n{lines}\n")
    return "\n".join(parts)


def pages(settings: Settings) -> EventSchemaPages:
    """The pages of an integration."""
    return EventSchemaPages(settings.destination, settings.receives)


@dataclass(frozen=True)
class EventSchemaPages:
    """One .avsc a schema and a changelog, in the integration's folder ``receives`` beside the destination."""

    destination: str
    receives: str

    def place(self) -> str:
        """Beside the destination, where receivers do not read events."""
        return beside(self.destination)

    def pages(
        self, prefix: str, schemas: Iterable[RegisteredSchema], batches: Iterable[BatchRecord]
    ) -> dict[str, str]:
        """The schemas that delivered batches use; the changelog, which names their files, comes last."""
        used = in_use(schemas, batches)
        root = below(prefix, self.receives)
        texts = {
            f"{root}/{each.event_type}/{each.id}.avsc": json.dumps(json.loads(each.text), indent=2) + "\n"
            for each in used
        }
        return {**texts, f"{root}/CHANGELOG.md": changelog(used)}
