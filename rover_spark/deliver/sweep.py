"""Removes what abandoned tries left staged; keeps what an open batch still needs.

It never touches what another export, or a younger run, has staged. Where the role may not list, only files that the
ledger names can be removed; ``Store.unswept`` says who removes the rest.
"""

from __future__ import annotations

from datetime import datetime

from rover_spark.ledger.rows import COMPLETION
from rover_spark.ledger.side_tables import aborted_batches
from rover_spark.ledger.table import Ledger
from rover_spark.produce.port import Owner
from rover_spark.store import Store


def sweep(store: Store, ledger: Ledger, owner: Owner, older_than: datetime, destination: str) -> list[str]:
    """Names of what was removed. ``destination`` is the URL of the store: where files are delivered, or manifests."""
    opened = [
        dataset_state.open.batch
        for dataset_state in ledger.dataset_states().values()
        if dataset_state.open is not None
    ]
    records = ledger.batches(*opened) if opened else []
    kept = [file.staged for record in records for file in (*record.files, *record.completion)]
    # the next run goes on from what the journal of an open batch names
    kept += [staged for found in ledger.journaled(opened).values() for staged in found]
    planned = _planned(ledger)
    store.abort(set(_superseded(ledger, destination)) - set(kept))
    return store.sweep(older_than, frozenset(kept), lambda key: owner.planned(key, planned))


def _planned(ledger: Ledger) -> set[tuple[str, int]]:
    """Dataset and instant, in whole seconds since 1970, of every batch: a key holds both."""
    return {(dataset, instant // 1000) for dataset, instant in ledger.instants()}


def _superseded(ledger: Ledger, destination: str) -> list[str]:
    """References to what an earlier try at a batch staged at a destination and the later one did not take over.

    And those that the journal of an aborted batch names. The destination may be the place of manifests.
    """
    files = {**ledger.superseded(), **ledger.journaled(aborted_batches(ledger))}
    manifests = ledger.superseded(COMPLETION)
    named = files.keys() | manifests.keys()
    found = list[str]()
    for each in ledger.batches(*named) if named else []:
        # another store's references mean nothing to this one
        if each.plan is not None and each.plan.destination == destination:
            found += files.get(each.batch, ())
        if each.plan is not None and each.plan.manifests and each.plan.manifests.place == destination:
            found += manifests.get(each.batch, ())
    return found
