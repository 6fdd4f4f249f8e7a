"""A proxy before an S3 server: writes down each operation, refuses what a role may not do, makes the network fail."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# what may happen to a request; each but the last three leaves the server untouched
FAULTS = ("refuse", "expired", "unavailable", "drop", "cut", "lose", "error 200", "slow")
LEAST = {
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "PutObject",
}
GOOGLE = ("/upload/storage/", "/storage/")
AZURE_SAYS = {
    "AccessDenied": "AuthorizationPermissionMismatch",
    "ExpiredToken": "AuthenticationFailed",
    "SlowDown": "ServerBusy",
}
_CUT_AFTER = 60_000
Decide = Callable[[str, int], str | None]


def operation(method: str, target: str) -> str:
    """The store's name of a request: S3's, Azure's where it names a part of a blob, Google's by its path."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    if "comp" in query:
        return {"block": "PutBlock", "blocklist": "PutBlockList"}.get(query["comp"][0], query["comp"][0])
    if "/rewriteTo/" in parts.path:
        return "Rewrite"
    if parts.path.startswith("/upload/"):
        return "Upload"
    has_key = parts.path.strip("/").count("/") > 0
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    if "uploadId" in query:
        names = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        return names.get(method, "ListParts")
    kind = {"GET": "Get", "PUT": "Put", "HEAD": "Head", "DELETE": "Delete"}.get(method, method)
    if kind == "Get" and not has_key:
        return "ListObjects"
    return kind + ("Object" if has_key else "Bucket")


class Proxy:
    """Forwards to ``upstream``; ``decide(operation, n)`` names the fault of the n-th such request, or None."""

    def __init__(self, upstream: str, decide: Decide | None = None) -> None:
        self.seen: list[str] = []
        self.decide: Decide = decide or (lambda name, n: None)
        self._upstream = upstream.removeprefix("http://")
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, method: str, target: str) -> str | None:
        name = operation(method, target)
        with self._lock:
            number = self.seen.count(name)
            self.seen.append(name)
        return self.decide(name, number)

    def passed_on(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers that the server sees."""
        return headers

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _any(self) -> None:
                fault = proxy.fault(self.command, self.path)
                length = int(self.headers.get("Content-Length", 0))
                if fault == "cut":
                    self.rfile.read(min(length, _CUT_AFTER))
                    return self._hang_up()
                body = self.rfile.read(length)
                if fault == "drop":
                    return self._hang_up()
                if fault == "refuse":
                    return self._xml(403, "AccessDenied")
                if fault == "expired":
                    return self._xml(401 if self.path.startswith(GOOGLE) else 400, "ExpiredToken")
                if fault == "gone":
                    return self._xml(404, "NoSuchUpload")
                if fault == "unavailable":
                    return self._xml(503, "SlowDown")
                if fault == "elsewhere":
                    return self._xml(400, "AuthorizationHeaderMalformed", region="eu-north-1")
                if fault == "taken":
                    return self._answer(412, b'{"error": {"code": 412, "message": "conditionNotMet"}}')
                if fault == "slow":
                    time.sleep(2)
                upstream = http.client.HTTPConnection(proxy._upstream, timeout=60)
                upstream.request(self.command, self.path, body, proxy.passed_on(dict(self.headers.items())))
                answer = upstream.getresponse()
                text = answer.read()
                upstream.close()
                if fault == "lose":
                    return self._hang_up()
                if fault == "error 200":
                    return self._xml(200, "InternalError")
                self.send_response_only(answer.status)
                headers = {name.lower(): value for name, value in answer.getheaders()}
                headers.pop("transfer-encoding", None)
                if self.command != "HEAD":
                    headers["content-length"] = str(len(text))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any

            def _xml(self, status: int, code: str, region: str | None = None) -> None:
                more = f"<Region>{region}</Region>" if region else ""
                text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message>{more}</Error>"
                self._answer(status, text.encode(), AZURE_SAYS.get(code))

            def _answer(self, status: int, text: bytes, code: str | None = None) -> None:
                self.send_response_only(status)
                if code:
                    self.send_header("x-ms-error-code", code)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            def _hang_up(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        return Handler


class Conditional(Proxy):
    """Before a GCS server that ignores ``ifGenerationMatch=0`` of a rewrite: holds it to that."""

    def fault(self, method: str, target: str) -> str | None:
        parts = urlsplit(target)
        if "/rewriteTo/" in parts.path and parse_qs(parts.query).get("ifGenerationMatch") == ["0"]:
            looked = http.client.HTTPConnection(self._upstream, timeout=60)
            looked.request("GET", "/storage/v1" + parts.path.partition("/rewriteTo")[2])
            found = looked.getresponse().status
            looked.close()
            if found == 200:
                return "taken"
        return super().fault(method, target)


class Unconditional(Proxy):
    """Before an S3 server that keeps conditions: one that ignores those of a put."""

    def passed_on(self, headers: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name.lower() != "if-none-match"}


class UsedUp(Proxy):
    """Before an S3 server that answers 200 again for an upload that was completed: says that it is gone, as S3 may."""

    def __init__(self, upstream: str, decide: Decide | None = None) -> None:
        super().__init__(upstream, decide)
        self._completed = set[str]()

    def fault(self, method: str, target: str) -> str | None:
        found = super().fault(method, target)
        if found is None and operation(method, target) == "CompleteMultipartUpload":
            with self._lock:
                if target in self._completed:
                    return "gone"
                self._completed.add(target)
        return found


def least_rights(name: str, number: int) -> str | None:
    """A role that may put and abort, nothing else."""
    return None if name in LEAST else "refuse"
