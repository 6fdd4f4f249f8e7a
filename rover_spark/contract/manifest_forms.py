"""A completion manifest in the forms that loaders take: a COPY manifest of Redshift, a list of URLs, a list of hashes. Pure.

Sources: Amazon Redshift, "Using a manifest to specify data files"; Hive's ``SymlinkTextInputFormat``; BigQuery's
``NEW_LINE_DELIMITED_MANIFEST``; GNU coreutils, ``sha256sum --check``.
"""

from __future__ import annotations

import json

from rover_spark.contract.manifests import FORMATS, Completion


def form(name: str, completion: Completion, destination: str, prefix: str) -> bytes:
    """The octets of a form; ``destination`` is the URL that the files lie below, ``prefix`` what of it begins their keys.

    Raises:
        KeyError: an unknown form.
    """
    made = {"redshift": _redshift, "symlink": _symlink, "sha256sum": _sha256sum}
    assert made.keys() == FORMATS.keys()
    return made[name](completion, destination, prefix).encode()


def url_of(key: str, destination: str, prefix: str) -> str:
    """The URL of an object below a destination: ``s3://bucket/acme/exports/…``."""
    return f"{destination}/{_below(key, prefix)}"


def _below(key: str, prefix: str) -> str:
    return key.removeprefix(f"{prefix}/") if prefix else key


def _redshift(completion: Completion, destination: str, prefix: str) -> str:
    """``COPY … FROM 's3://…/this file' MANIFEST``: each file must be there."""
    entries = [
        {
            "url": url_of(file.key, destination, prefix),
            "mandatory": True,
            "meta": {"content_length": file.bytes},
        }
        for file in completion.files
    ]
    return json.dumps({"entries": entries}, ensure_ascii=False, separators=(",", ":")) + "\n"


def _symlink(completion: Completion, destination: str, prefix: str) -> str:
    """One URL a line."""
    return "".join(f"{url_of(file.key, destination, prefix)}\n" for file in completion.files)


def _sha256sum(completion: Completion, destination: str, prefix: str) -> str:
    """Paths are relative to a copy of the destination, the folder that holds ``exports``, or the integration's folder."""
    return "".join(f"{file.sha256}  {_below(file.key, prefix)}\n" for file in completion.files)
