"""A receiver of notices on loopback: keeps what comes, answers as it is told."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """Answers each request with the next of `statuses`, the last for ever, after `wait_s`."""

    daemon_threads = True

    def __init__(self, statuses: tuple[int, ...], wait_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses, self.wait_s = list(statuses), wait_s
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook/s3cret-path"

    @property
    def notices(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    @property
    def kinds(self) -> list[str]:
        return [notice["kind"] for notice in self.notices]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.server.headers.append(dict(self.headers))
        time.sleep(self.server.wait_s)
        statuses = self.server.statuses
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.send_header("Location", self.server.url)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def receiving(*statuses: int, wait_s: float = 0.0) -> Iterator[Receiver]:
    """A receiver until the block ends; it takes everything if no statuses are given."""
    receiver = Receiver(statuses or (204,), wait_s)
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()
