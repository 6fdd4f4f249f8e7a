"""How many rows the quarantine holds, by dataset or event type: what ``status`` shows, without Spark where the table is a path."""

from __future__ import annotations

import logging
from collections import Counter

from rover_spark.config.access import TableAccess
from rover_spark.delta.native_errors import NativeFailed, native_errors
from rover_spark.delta.session import Session
from rover_spark.delta.storage import NotNative, reached
from rover_spark.ledger.side_tables import QUARANTINE, aborted_batches, by_reason, quarantined
from rover_spark.ledger.table import Ledger

_LOG = logging.getLogger("rover_spark")
_QUERY = 'SELECT "export", "dataset", "batch", count(*) AS "rows" FROM quarantine GROUP BY "export", "dataset", "batch"'


def quarantined_rows(session: Session, access: TableAccess, ledger: Ledger) -> dict[str, int]:
    """Rows of each dataset or event type, but for batches that were aborted."""
    found: Counter[str] = Counter()
    try:
        counted = _native(session, access, ledger.beside(QUARANTINE))
    except (NotNative, NativeFailed) as why:
        _LOG.debug("quarantine: Spark counts its rows: %s", why)
        rows = quarantined(session.spark, ledger)
        for each in by_reason(rows) if rows is not None else ():
            found[each.dataset] += each.rows
        return found
    aborted = aborted_batches(ledger)
    for export, dataset, batch, rows_of in counted:
        if export == ledger.export and batch not in aborted:
            found[dataset] += rows_of
    return found


def _native(session: Session, access: TableAccess, table: str) -> list[tuple[str, str, str, int]]:
    """(export, dataset, batch, rows). Raises NotNative, NativeFailed where only Spark can count."""
    place = reached(table, access, session)
    with native_errors(place):
        from deltalake import DeltaTable, QueryBuilder

        opened = DeltaTable(place.url, storage_options=dict(place.options))
        if (
            opened.protocol().min_reader_version != 1
        ):  # as an operator may have altered it: deletion vectors, mapped columns
            raise NativeFailed("its protocol asks for more than this engine knows")
        found = QueryBuilder().register("quarantine", opened).execute(_QUERY).read_all()
        return list(zip(*(found.column(position).to_pylist() for position in range(4)), strict=True))
