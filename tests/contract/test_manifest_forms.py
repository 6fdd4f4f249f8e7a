"""The forms of a manifest for loaders: a prefix of the destination stands in URLs once, and in no path."""

from __future__ import annotations

import json

import pytest

from rover_spark.contract.manifest_forms import form
from tests.contract.test_manifests import HASH, ROVER

KEYS = [file.key for file in ROVER.files]


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_url_is_that_of_the_bucket_and_the_key(scheme: str) -> None:
    destination = f"{scheme}://bucket/acme"
    urls = [f"{scheme}://bucket/{key}" for key in KEYS]
    assert form("symlink", ROVER, destination, "acme").decode().split("\n") == [*urls, ""]
    redshift = form("redshift", ROVER, destination, "acme")
    assert (
        redshift.decode()
        == json.dumps(
            {"entries": [{"url": url, "mandatory": True, "meta": {"content_length": 100}} for url in urls]},
            separators=(",", ":"),
        )
        + "\n"
    )


def test_paths_begin_below_the_destination() -> None:
    lines = form("sha256sum", ROVER, "s3://bucket/acme", "acme").decode().splitlines()
    assert lines == [f"{HASH}  {key.removeprefix('acme/')}" for key in KEYS]


def test_an_unknown_form_is_no_form() -> None:
    with pytest.raises(KeyError):
        form("csv", ROVER, "s3://bucket", "")
