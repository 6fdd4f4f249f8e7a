"""Removes what abandoned tries left staged; keeps what an open batch still needs.

It never touches what another export, or a younger run, has staged. Where the role may not list, only files that the
ledger names can be removed; ``Store.unswept`` says who removes the rest.
"""

from __future__ import annotations

from datetime import datetime

from rover_spark.ledger.side_tables import aborted_batches
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
    # the next run goes on from what the journal of an open batch names
    kept += [staged for found in ledger.journaled(opened).values() for staged in found]
    planned = _planned(ledger)
    store.abort(set(_superseded(ledger, destination)) - set(kept))
    return store.sweep(older_than, frozenset(kept), lambda key: owner.planned(key, planned))


def _planned(ledger: Ledger) -> set[tuple[str, int]]:
    """Dataset and instant, in whole seconds since 1970, of every batch: a key holds both."""
    return {(dataset, instant // 1000) for dataset, instant in ledger.instants()}


def _superseded(ledger: Ledger, destination: str) -> list[str]:
    """References to files of a destination that an earlier try at a batch staged and the later one did not take over.

    And those that the journal of an aborted batch names.
    """
    found = {**ledger.superseded(), **ledger.journaled(aborted_batches(ledger))}
    # another store's references mean nothing to this one
    batches = ledger.batches(*found) if found else []
    here = {each.batch for each in batches if each.plan and each.plan.destination == destination}
    return [staged for batch, references in found.items() if batch in here for staged in references]
