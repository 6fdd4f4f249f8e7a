"""conform passes on what the product delivered: files of its first version, as they were archived."""

from __future__ import annotations

import io
import tarfile
from datetime import datetime, timezone
from pathlib import Path

import pytest

from rover_spark.consume.conform.run import conform
from rover_spark.consume.place import open_place
from tests.golden.fixture import ARCHIVE, EXPORTS


@pytest.mark.parametrize(("export", "records"), [*zip(EXPORTS, (53, 24, 24), strict=True)])
def test_what_version_0_1_0_delivered_is_as_the_contract_says(
    tmp_path: Path, export: str, records: int
) -> None:
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE.read_bytes())) as archive:
        for member in archive:
            if member.name.startswith(f"buckets/{export}/acme/") and member.isfile():
                target = tmp_path / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]
    place = open_place(str(tmp_path / "buckets" / export / "acme"))
    found = conform(place, now=datetime(2026, 11, 29, tzinfo=timezone.utc))
    assert found.breaches == ()
    assert sum(each.records for each in found.datasets) == records
