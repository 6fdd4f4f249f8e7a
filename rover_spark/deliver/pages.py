"""Puts small documents, such as schemas, at keys of their own; each is whole, and overwrites what is there.

Putting them again gives the same bytes at the same keys. The last one is put after all others: it may refer to them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from rover_spark.deliver.publish import overwrite
from rover_spark.store import Store, staged_whole


def put(store: Store, pages: Mapping[str, str]) -> list[str]:
    """Puts every text at its key; the keys.

    Raises:
        StoreError: what was put before it stays; putting again mends the rest.
    """
    attempt = uuid.uuid4().hex  # noqa: TID251 - used in staging names only
    keys = list(pages)
    for some in (keys[:-1], keys[-1:]):
        overwrite(
            store,
            [staged_whole(store.stage(key, "schemas", attempt), key, pages[key].encode()) for key in some],
        )
    return keys
