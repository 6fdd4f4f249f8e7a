"""The ``[manifests]`` part of the settings: whether, where and in which forms completion manifests are published."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from rover_spark.config.access import Frozen
from rover_spark.config.urls import url_of
from rover_spark.contract.manifests import FOLDER


class ManifestSettings(Frozen):
    """Completion manifests. ``enabled`` is None where the contract decides: Rover has them, Currents has none."""

    enabled: bool | None = None
    place: str | None = None
    formats: tuple[Literal["redshift", "symlink", "sha256sum"], ...] = ()

    @field_validator("place")
    @classmethod
    def _place(cls, value: str | None) -> str | None:
        return None if value is None else url_of(value)

    def on(self, contract: str) -> bool:
        """Whether batches of a contract have a manifest."""
        return contract == "rover" if self.enabled is None else self.enabled


def manifests_of(manifests: ManifestSettings, contract: str, destination: str) -> str | None:
    """The URL below which manifests are published, or None where there are none.

    Rover: the destination. Currents: beside it, since receivers read all below it.
    """
    if not manifests.on(contract):
        return None
    if manifests.place is not None:
        return manifests.place
    return destination if contract == "rover" else beside(destination, FOLDER, "completions")


def beside(destination: str, *words: str) -> str:
    """The URL for other objects of a destination: ``s3://bucket/manifests.acme`` for ``s3://bucket/acme``.

    The first of ``words`` begins its last segment that does not make it one of the keys that begin with the prefix.

    Raises:
        ValueError: the destination is a whole bucket: there is no place beside it.
    """
    above, _, prefix = destination.rpartition("/")
    if above.endswith(":/"):  # there is nothing between the scheme and the bucket's name
        raise ValueError("is a whole bucket, of which receivers read all as events")
    word = next(word for word in words if not f"{word}.".startswith(prefix))
    return f"{above}/{word}.{prefix}"


def check_manifests(manifests: ManifestSettings, contract: str, destination: str, receives: str) -> None:
    """Raises ValueError where the settings contradict each other, or receivers would read manifests as data.

    ``receives`` is the folder below the destination that receivers read.
    """
    if not manifests.on(contract):
        for name in sorted(manifests.model_fields_set & {"place", "formats"}):
            why = "manifests.enabled is false" if manifests.enabled is False else "contract is currents"
            raise ValueError(f"manifests.{name}: has no effect while {why}; set manifests.enabled = true")
        return
    if len(set(manifests.formats)) < len(manifests.formats):
        raise ValueError("manifests.formats: names one twice")
    place = manifests.place
    if place is None:
        try:
            manifests_of(manifests, contract, destination)
        except ValueError as error:
            raise ValueError(
                f"manifests: {destination} {error}, so there is no place beside it: set manifests.place"
            ) from None
        return
    scheme = destination.partition("://")[0]
    if not place.startswith(f"{scheme}://"):
        raise ValueError(
            f"manifests.place: must be of the destination's scheme, {scheme}://: [store] reaches both"
        )
    if contract == "currents" and place.startswith(destination):
        raise ValueError(
            f"manifests.place: begins as the destination does, and receivers read all that begins with {destination}"
        )
    if f"{place}/".startswith(f"{destination}/{receives}/"):
        raise ValueError(f"manifests.place: lies inside {destination}/{receives}, where receivers read")
