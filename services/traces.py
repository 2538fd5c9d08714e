"""OpenTelemetry: one trace a turn, sent by OTLP over HTTP where an endpoint is set.

A turn is `turn`, with these inside: `hear` (its first sound to the turn being whole), and from the
answer being asked for, `read` to its first row, `first audio` or `first text` to its first piece,
`respond` to its end. Spans hold ids, counts and durations, never audio or text. Times are Unix
nanoseconds. Without an endpoint nothing of OpenTelemetry is imported here.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moss_speech.settings import Settings
from services.ids import Ids

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_NO_EXPORTER = (
    "MOSS_OTLP_ENDPOINT is set, but there is no exporter; install the extra for it: "
    '`pip install "moss-speech[traces]"`'
)

_SEND_S = 5
"""After which a batch that the collector does not take is given up."""

Value = str | int | float


@dataclass(frozen=True)
class Span:
    """A piece of a turn."""

    name: str
    begin_ns: int
    end_ns: int
    attributes: Mapping[str, Value]


class Traces:
    """Where the spans of one worker go."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("moss_speech")

    def turn(self, whole: Span, parts: Iterable[Span], traceparent: str | None) -> Ids:
        """Send a turn that is over, as part of the caller's own trace if it has one.

        The ids to write beside it into the log.
        """
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {} if traceparent is None else {"traceparent": traceparent}
        caller = TraceContextTextMapPropagator().extract(carrier)
        root = self._tracer.start_span(
            whole.name,
            context=caller,
            kind=SpanKind.SERVER,
            attributes=dict(whole.attributes),
            start_time=whole.begin_ns,
        )
        inside = set_span_in_context(root)
        for part in parts:
            span = self._tracer.start_span(
                part.name,
                context=inside,
                attributes=dict(part.attributes),
                start_time=part.begin_ns,
            )
            span.end(part.end_ns)
        root.end(whole.end_ns)
        return {"trace": f"{root.get_span_context().trace_id:032x}"}

    def close(self) -> None:
        """Send what waits or give it up after some seconds."""
        self._provider.shutdown()


def open_traces(chosen: Settings, version: str) -> Traces | None:
    """Traces to the endpoint of the settings; None if there is none.

    Raises `ValueError` for an endpoint that is no address, or without the extra.
    """
    if chosen.otlp_endpoint is None:
        return None
    if not chosen.otlp_endpoint.startswith(("http://", "https://")):
        raise ValueError(
            f"MOSS_OTLP_ENDPOINT is {chosen.otlp_endpoint!r}, must begin with http:// or https://"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise ValueError(_NO_EXPORTER) from error
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about = {"service.name": "moss-speech", "service.version": version}
    endpoint = chosen.otlp_endpoint.rstrip("/") + "/v1/traces"
    exporter = OTLPSpanExporter(endpoint, timeout=_SEND_S)
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider)


def now_ns() -> int:
    """The time that spans are told."""
    return time.time_ns()
