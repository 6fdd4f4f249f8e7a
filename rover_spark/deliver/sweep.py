"""Removes what abandoned tries left staged; keeps what an open batch still needs.

It never touches what another export, or a younger run, has staged. Where the role may not list, only files that the
ledger names can be removed; ``Store.unswept`` says who removes the rest.
"""

from __future__ import annotations

from datetime import datetime

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
    return {(dataset, instant // 1000) for dataset, instant in ledger.instants()}


def _superseded(ledger: Ledger, destination: str) -> list[str]:
    """References to files of a destination that were staged by an earlier try at a batch, and not taken over by the later one."""
    found = ledger.superseded()
    # another store's references mean nothing to this one
    batches = ledger.batches(*found) if found else []
    here = {each.batch for each in batches if each.plan and each.plan.destination == destination}
    return [staged for batch, references in found.items() if batch in here for staged in references]
