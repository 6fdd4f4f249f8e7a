"""URLs of destinations: which schemes there are, and what of a URL is refused before anything is opened."""

from __future__ import annotations

import re

from rover_spark.config.mistakes import likely

SCHEMES = ("s3", "gs", "az", "file", "memory")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,7}", re.ASCII)
# what others call them -> ours
_SYNONYMS = {
    "s3a": "s3",
    "s3n": "s3",
    "gcs": "gs",
    "azure": "az",
    "wasb": "az",
    "wasbs": "az",
    "abfs": "az",
    "abfss": "az",
}
_BUCKET = re.compile(r"[a-z0-9$][a-z0-9._-]{1,220}[a-z0-9]", re.ASCII)


def url_of(value: str) -> str:
    """The URL of a destination, without slashes at its end. Raises ValueError where it is none."""
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError(_no_scheme(scheme if separator else ""))
    path = rest.rstrip("/")
    if scheme in {"s3", "gs", "az"} and any(sign in rest for sign in "?#"):
        raise ValueError(  # what follows may be a SAS: it would become part of every key
            f"takes {scheme}://BUCKET/PREFIX and no '?' or '#': a SAS or a key belongs into the environment, "
            "where the SDK finds it (AZURE_STORAGE_SAS_TOKEN, AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS)"
        )
    if scheme == "file":
        if not path.startswith("/"):
            raise ValueError("takes an absolute path: file:///data/bucket")
        path = path[1:]
    if not path or any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError("must not hold '..', '.', an empty segment or a second leading slash")
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise ValueError("must not hold control characters")
    if scheme in {"s3", "gs", "az"} and not _BUCKET.fullmatch(path.partition("/")[0]):
        raise ValueError(f"takes {scheme}://BUCKET/PREFIX: a bucket's name, no user, no query")
    return value.rstrip("/")


def _no_scheme(scheme: str) -> str:
    there = f"there are {', '.join(f'{each}://' for each in SCHEMES)}"
    if not _SCHEME.fullmatch(scheme):  # not repeated: it may be a connection string, with its key
        return f"has no scheme; {there}; a directory is file:///absolute/path"
    meant = _SYNONYMS.get(scheme.lower())
    hint = f", did you mean {meant}?" if meant else likely(scheme, SCHEMES)
    return f"{scheme}:// is not a supported destination scheme{hint or ';'} {there}"


def bucket_of(url: str) -> str:
    """The part of a URL that names a bucket; of a directory the scheme alone."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://" if scheme == "file" else f"{scheme}://{rest.partition('/')[0]}/"
