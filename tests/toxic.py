"""A network between us and a server that goes bad and recovers: toxiproxy, which takes orders over HTTP."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers import free_port, program, running

# what happens to answers: the server has done what it was asked for by then. "away": nobody listens
TOXICS: dict[str, tuple[str, dict[str, int]]] = {
    "slow": ("latency", {"latency": 1500, "jitter": 200}),
    "reset": ("reset_peer", {"timeout": 0}),
    "cut": ("limit_data", {"bytes": 20}),
    "silent": ("timeout", {"timeout": 2000}),
}
AWAY = "away"


class Network:
    """One way to one server. ``endpoint`` is the address for a client."""

    def __init__(self, api: str, name: str, upstream: str) -> None:
        self._api, self._name = api, name
        parts = urlsplit(upstream)
        made = self._ask(
            "POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": parts.netloc}
        )
        self.endpoint = f"http://{made['listen']}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._api + path, data, {"User-Agent": "tests"}, method=method)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def goes_bad(self, fault: str, seconds: float) -> None:
        """From now on, and for so long."""
        if fault == AWAY:
            self._ask("POST", f"/proxies/{self._name}", {"enabled": False})
        else:
            kind, attributes = TOXICS[fault]
            toxic = {"name": "bad", "type": kind, "stream": "downstream", "attributes": attributes}
            self._ask("POST", f"/proxies/{self._name}/toxics", toxic)
        self._recovery = threading.Timer(seconds, self._ask, ("POST", "/reset"))
        self._recovery.start()

    def recovers(self) -> None:
        """Returns once it has."""
        self._recovery.join()


@contextmanager
def toxiproxy(home: Path) -> Iterator[str]:
    """The address of a toxiproxy of one's own."""
    port = free_port()
    command = [str(program("bin/toxiproxy-server")), "-host", "127.0.0.1", "-port", str(port)]
    with running(command, port, home / "server.log"):
        yield f"http://127.0.0.1:{port}"
