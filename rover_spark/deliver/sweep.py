"""Removes what abandoned tries left staged; keeps what an open batch still needs.

It never touches what another export, or a younger run, has staged. Where the role may not list, only files that the
ledger names can be removed; ``Store.unswept`` says who removes the rest.
"""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import functions as F

from rover_spark.ledger.table import Ledger
from rover_spark.produce.port import Owner
from rover_spark.store import Store


def sweep(store: Store, ledger: Ledger, owner: Owner, older_than: datetime, destination: str) -> list[str]:
    """Names of what was removed."""
    opened = [
        dataset_state.open.batch
        for dataset_state in ledger.dataset_states().values()
        if dataset_state.open is not None
    ]
    kept = [file.staged for record in (ledger.batches(*opened) if opened else []) for file in record.files]
    planned = _planned(ledger)
    store.abort(set(_superseded(ledger, destination)) - set(kept))
    return store.sweep(older_than, frozenset(kept), lambda key: owner.planned(key, planned))


def _planned(ledger: Ledger) -> set[tuple[str, int]]:
    """Dataset and instant, in whole seconds since 1970, of every batch: a key holds both."""
    if not ledger.exists:
        return set()
    rows = ledger.frame().where("kind = 'batch' AND instant IS NOT NULL").select("dataset", "instant")
    return {(row["dataset"], row["instant"] // 1000) for row in rows.distinct().collect()}


def _superseded(ledger: Ledger, destination: str) -> list[str]:
    """References to files of a destination that were staged by an earlier try at a batch, and not taken over by the later one."""
    if not ledger.exists:
        return []
    rows = ledger.frame().where("kind = 'file'")
    newest = rows.groupBy("batch").agg(F.max("transition").alias("newest"))
    last_named = (
        rows.join(newest, "batch").groupBy("batch", "staged", "newest").agg(F.max("transition").alias("last"))
    )
    found = last_named.where("last < newest").collect()
    # another store's references mean nothing to this one
    batches = ledger.batches(*{row["batch"] for row in found}) if found else []
    here = {each.batch for each in batches if each.plan and each.plan.destination == destination}
    return [row["staged"] for row in found if row["batch"] in here]
