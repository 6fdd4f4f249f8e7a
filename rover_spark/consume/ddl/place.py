"""Where the objects lie: a URL taken apart, and put together as a warehouse names it. Opens nothing."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from rover_spark.errors import ConfigError

_PLACE = re.compile(r"(?P<scheme>s3|gs|az|file)://(?P<rest>[^?#\\]+)")
_WILD = re.compile(r"[*?\[\]{}]")


@dataclass(frozen=True)
class Place:
    """A prefix in a bucket, a container or a directory. ``path`` has no slash at its ends; it may be empty."""

    scheme: str
    bucket: str
    path: str

    @classmethod
    def of(cls, url: str) -> Place:
        """The place that a URL names. Raises ConfigError where it names none, or may hold a secret."""
        found = _PLACE.fullmatch(url)
        if found is None or any(unicodedata.category(char) == "Cc" for char in url):
            raise ConfigError(
                "--place: takes s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///PATH",
                code="place_invalid",
                remedy="Name the place that was delivered to, without keys and queries.",
            )
        if found["scheme"] == "file":
            return cls("file", "", found["rest"].strip("/"))
        bucket, _, path = found["rest"].partition("/")
        return cls(found["scheme"], bucket, path.strip("/"))

    def below(self, *segments: str) -> Place:
        """A place inside this one."""
        return Place(self.scheme, self.bucket, "/".join(filter(None, (self.path, *segments))))

    @property
    def url(self) -> str:
        """The place as it is written in this project: ``s3://bucket/prefix``, ``file:///path``."""
        return "/".join(filter(None, (f"{self.scheme}://{self.bucket}", self.path)))

    @property
    def plain(self) -> str:
        """The path of a directory, the URL of anything else."""
        return f"/{self.path}" if self.scheme == "file" else self.url


def exact(text: str, *, brackets: bool) -> str:
    """A text in which readers of patterns find no pattern of their own: each sign of one stands in brackets, or is ``?``."""
    return _WILD.sub(lambda found: f"[{found[0]}]" if brackets else "?", text)
