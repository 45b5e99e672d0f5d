"""Endpoints of S3 on loopback: processes that can be killed, and a gate before them."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

BUCKET = "darknet"
SECRET = "not-to-be-seen-anywhere"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def environment(port: int) -> dict[str, str]:
    """Return the variables that lead to an endpoint."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "2",
    }


class Endpoint:
    """A process that serves S3, with one bucket."""

    def __init__(self, *command: str) -> None:
        self.port = free_port()
        self._command = [part.format(port=self.port) for part in command]
        self.start()

    def start(self) -> None:
        """Start it, again on the same port, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            with suppress(OSError):
                return self._make_bucket()
            time.sleep(0.05)
        raise TimeoutError(self._command)

    def _make_bucket(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("PUT", f"/{BUCKET}")
        connection.getresponse().read()
        connection.close()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()


def localbucket(root: Path) -> Endpoint:
    """Start an endpoint that keeps objects as files."""
    root.mkdir(exist_ok=True)
    return Endpoint(sys.executable, "-m", "localbucket", "--port", "{port}", str(root))


def moto() -> Endpoint:
    """Start an endpoint that keeps objects in memory."""
    server = Path(sys.executable).with_name("moto_server")
    return Endpoint(str(server), "-p", "{port}")


#: Called with method and path; False: the connection is closed at this moment.
Hook = Callable[[str, str], bool]


def _pass(method: str, path: str) -> bool:
    return True


class Gate:
    """Stands before an endpoint, and fails at a chosen request.

    Only for other processes: deltalake holds the GIL while it waits for an answer.
    """

    def __init__(
        self,
        port: int,
        before: Hook = _pass,
        after: Hook = _pass,
        without: str | None = None,
    ) -> None:
        class Handler(_Handler):
            target, hooks, left_out = port, (before, after), without

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: int
    hooks: tuple[Hook, Hook]
    left_out: str | None

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        before, after = self.hooks
        if not before(self.command, self.path):
            self.close_connection = True
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() != self.left_out}
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.target)
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
        except OSError:
            self.close_connection = True
            return
        if not after(self.command, self.path):
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward

    def log_message(self, *args: object) -> None:
        """Say nothing."""
