"""A collector of traces on loopback: takes OTLP over HTTP and keeps the spans."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(ThreadingHTTPServer):
    """Spans as protobuf messages, with the attributes of who sent them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Any] = []
        self.bodies: list[bytes] = []
        self.senders: list[dict[str, str]] = []
        self.arrived = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self.arrived:
            self.bodies.append(body)
            for part in request.resource_spans:
                self.senders.append({a.key: a.value.string_value for a in part.resource.attributes})
                self.spans += [span for scope in part.scope_spans for span in scope.spans]
            self.arrived.notify_all()

    def wait_for(self, n_turns: int, seconds: float = 30) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.turns()) >= n_turns, seconds)

    def turns(self) -> list[Any]:
        return [span for span in self.spans if span.name == "turn"]

    def inside(self, turn: Any) -> dict[str, Any]:
        return {s.name: s for s in self.spans if s.parent_span_id == turn.span_id}


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces"
        assert self.headers["content-type"] == "application/x-protobuf"
        self.server.take(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()
