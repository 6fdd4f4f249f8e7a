"""``conform`` as a function: any bucket held against the contract. Loads no Spark, needs no configuration and no ledger."""

from __future__ import annotations

from datetime import datetime, timezone

from rover_spark.config.access import Access
from rover_spark.config.mistakes import likely
from rover_spark.consume.conform.loaders import LOADERS
from rover_spark.consume.conform.run import conform as hold
from rover_spark.consume.place import open_place
from rover_spark.errors import ConfigError
from rover_spark.face.receivers.advice import advising
from rover_spark.face.results import ConformResult


def conform(
    url: str,
    *,
    since: datetime | None = None,
    sample: int | None = None,
    loader: str | None = None,
    manifests: str | None = None,
    access: Access | None = None,
    processes: int = 0,
    now: datetime | None = None,
) -> ConformResult:
    """Holds a bucket, a prefix or a directory against the contract. ``ok`` is False where it breaks it.

    ``since`` looks at files from that instant on, ``sample`` reads so many files of each dataset, ``loader`` also names what
    that loader would refuse. ``manifests`` is the URL of completion manifests that are neither below ``url`` nor beside it. ``access`` says how the bucket is reached, beside what the SDK finds by itself.

    Raises:
        ConfigError: no such place or loader. StoreError: the place cannot be listed.
    """
    if loader is not None and loader not in LOADERS:
        raise ConfigError(
            f"--for {loader}: no such loader is known{likely(loader, LOADERS)}",
            code="loader_unknown",
            remedy=f"There are {', '.join(LOADERS)}.",
        )
    now = now or datetime.now(timezone.utc)  # noqa: TID251 - the one clock: above what is held against it
    with advising("conform"):
        found = hold(
            open_place(url, access),
            now=now,
            since=since,
            sample=sample,
            engine=loader or "",
            manifests=open_place(manifests, access) if manifests is not None else None,
            processes=processes,
        )
    ok = not found.breaches
    result = "failed" if not ok else "done" if found.datasets else "nothing to do"
    return ConformResult(
        result=result,
        ok=ok,
        place=url,
        datasets=found.datasets,
        breaches=found.breaches,
        manifests=found.manifests,
        others=found.others,
        notices=found.notices,
    )
