"""An RDAP server on loopback, in a process of its own, that behaves as it is asked to.

`python rdap_server.py LOG` prints its port. How it behaves depends on the address that
is looked up; every request is a line of JSON in the log.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import rdap_answers as answers

ANSWERS = {
    "8.8.8.8": answers.ARIN,
    "193.0.6.139": answers.RIPE,
    "202.12.29.175": answers.APNIC,
    "203.178.137.58": answers.JPNIC,
    "200.3.14.10": answers.LACNIC,
    "2001:200:dff:fff1::1": answers.IPV6,
    "93.184.0.7": answers.BARE,
    "1.0.0.20": answers.ARIN,  # of other addresses
}
#: What is answered instead of JSON of a network.
RUBBISH = {
    "1.0.0.1": b"<!doctype html><title>Maintenance</title>",
    "1.0.0.2": json.dumps(answers.ARIN).encode()[:200],
    "1.0.0.3": b"[" * 500_000,
    "1.0.0.4": b'{"entities":' * 40_000 + b"0" + b"}" * 40_000,
    "1.0.0.5": b"[1, 2]",
    "1.0.0.6": b"null",
    "1.0.0.7": b"\xff\xfe\x00\xd8",
    "1.0.0.8": json.dumps(answers.ARIN | {"entities": "none"}).encode(),
    "1.0.0.9": json.dumps(answers.ARIN | {"startAddress": 8}).encode(),
    "1.0.0.10": json.dumps(answers.ARIN | {"objectClassName": "autnum"}).encode(),
    "1.0.0.11": b"",
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        headers = dict(self.headers.items())
        line = {"path": self.path, "headers": headers, "time": time.monotonic()}
        with self.server.log.open("a") as log:
            log.write(json.dumps(line) + "\n")
        what = self.path.rpartition("/")[2]
        if what in ANSWERS:
            self.reply(200, json.dumps(ANSWERS[what]).encode())
        elif what in RUBBISH:
            self.reply(200, RUBBISH[what])
        else:
            getattr(self, f"do_{what.replace('.', '_')}", self.not_found)()

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def not_found(self) -> None:
        self.reply(404, b'{"errorCode": 404}')

    def do_2_0_0_1(self) -> None:
        self.reply(500)

    def do_2_0_0_2(self) -> None:
        """Say "later" once, then answer."""
        self.server.n_late += 1
        if self.server.n_late == 1:
            self.reply(429, Retry_After="1")
        else:
            document = answers.network("2.0.0.0", "2.0.0.255", name="LATE")
            self.reply(200, json.dumps(document).encode())

    def do_2_0_0_3(self) -> None:
        self.reply(429, Retry_After="86400")

    def do_2_0_0_4(self) -> None:
        """Say "later" again and again, and at once."""
        self.reply(503, Retry_After="0")

    def do_3_0_0_1(self) -> None:
        self.reply(302, Location=f"/elsewhere{self.path}")  # for ever, and longer

    def do_3_0_0_2(self) -> None:
        self.reply(301, Location=self.path)  # to itself

    def do_3_0_0_3(self) -> None:
        self.reply(302, Location=f"http://127.0.0.2:{self.server.server_port}/secret")

    def do_3_0_0_4(self) -> None:
        self.reply(302, Location=f"http://localhost:{self.server.server_port}/secret")

    def do_3_0_0_5(self) -> None:
        self.reply(302, Location="file:///etc/passwd")

    def do_3_0_0_6(self) -> None:
        self.reply(302, Location="http://[::1")

    def do_3_0_0_7(self) -> None:
        """Name another place of its own, as a registry names another one."""
        self.reply(307, Location="/rdap2/ip/193.0.6.139")

    def do_3_0_0_8(self) -> None:
        self.reply(302, Location="http://169.254.169.254/latest/meta-data")

    def do_4_0_0_1(self) -> None:
        """Send 100 MB, if somebody reads them."""
        self.send_response(200)
        self.send_header("Content-Length", str(100 << 20))
        self.end_headers()
        try:
            for sent in range(100):
                self.wfile.write(bytes(1 << 20))
                self.server.n_sent = sent
        except OSError:
            self.close_connection = True

    def do_4_0_0_2(self) -> None:
        """Send a byte now and then, for ever."""
        self.send_response(200)
        self.end_headers()
        self.drip()

    def do_4_0_0_3(self) -> None:
        """Send headers a byte now and then, for ever."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.drip()

    def drip(self) -> None:
        self.close_connection = True
        try:
            for _ in range(600):
                self.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            pass

    def do_4_0_0_4(self) -> None:
        """Send what would grow a thousandfold."""
        self.reply(200, b"\x1f\x8b", Content_Encoding="gzip")

    def do_4_0_0_5(self) -> None:
        """Hang up."""
        self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, log: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.log, self.n_late, self.n_sent = log, 0, 0


class RdapServer:
    """The server, as tests see it."""

    def __init__(self, port: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}/rdap"
        self._log = log
        self._n_forgotten = 0

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests so far."""
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text.splitlines()[self._n_forgotten :]]

    def forget(self) -> None:
        """Tell of requests from now on only."""
        self._n_forgotten += len(self.requests())

    def paths(self) -> list[str]:
        return [request["path"] for request in self.requests()]


@contextmanager
def run(log: Path) -> Iterator[RdapServer]:
    """Run a server for a while."""
    command = [sys.executable, __file__, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield RdapServer(int(process.stdout.readline()), log)
        finally:
            process.kill()


if __name__ == "__main__":
    server = Server(Path(sys.argv[1]))
    print(server.server_port, flush=True)
    server.serve_forever()
