"""What is seen of one conversation from outside: figures, a trace a turn, a log line an answer.

Its conversation tells it what the client does and every event in order; it changes neither.
Refusals are counted by whoever tells the client of them.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from moss_speech.inference.turns import (
    AudioDelta,
    Failed,
    Finished,
    Heard,
    LiveEvent,
    Output,
    Refused,
    Reply,
    SpeechStarted,
    TextDelta,
)
from services.ids import Ids, bound, bound_traceparent
from services.metrics import Metrics
from services.traces import Span, Traces, Value, now_ns

_LOG = logging.getLogger(__name__)


@dataclass
class _Answer:
    """The answer under way, and the turn of the user that it follows; Unix nanoseconds."""

    heard: Span | None
    asked_ns: int
    output: Output
    ids: Ids
    traceparent: str | None
    first_ns: int | None = None

    def parts(self, read_s: float | None, end_ns: int) -> list[Span]:
        """The spans inside the turn; when it was read is known of an answer that came to an end."""
        read_ns = None if read_s is None else min(self.asked_ns + round(1e9 * read_s), end_ns)
        ends_ns = {
            "read": read_ns,
            f"first {self.output}": self.first_ns,
            "respond": end_ns,
        }
        heard = [] if self.heard is None else [self.heard]
        return heard + [
            Span(name, self.asked_ns, ns, {}) for name, ns in ends_ns.items() if ns is not None
        ]


class Watch:
    """Watches one conversation with a version of the model."""

    def __init__(self, metrics: Metrics, traces: Traces | None, version: str) -> None:
        self._metrics, self._traces, self._version = metrics, traces, version
        self._hear_ns: int | None = None
        self._heard: Span | None = None
        self._answer: _Answer | None = None

    def hearing(self) -> None:
        """The client sends sound."""
        if self._hear_ns is None:
            self._hear_ns = now_ns()

    def asked(self, output: Output) -> None:
        """The client asks for an answer, which belongs to what this task is bound to."""
        self._answer = _Answer(self._heard, now_ns(), output, bound(), bound_traceparent())
        self._heard = None

    def saw(self, event: LiveEvent) -> None:
        """An event on its way to the client."""
        if isinstance(event, SpeechStarted):
            self._hear_ns = now_ns()
        elif isinstance(event, Heard):
            self._turn_heard(event)
        elif isinstance(event, AudioDelta | TextDelta):
            self._made()
        elif isinstance(event, Failed):
            self._metrics.failed()
            _LOG.error("the engine failed", extra={"fields": {"reason": event.reason}})
        elif self._answer is not None:
            if isinstance(event, Finished):
                self._finished(self._answer, event.reply)
            elif isinstance(event, Refused) and event.what == "respond":
                self._end(self._answer, None, {"finish": "refused"})

    def closed(self) -> None:
        """The client is gone, perhaps in the middle of an answer."""
        if self._answer is not None:
            self._end(self._answer, None, {"finish": "left"})

    def _turn_heard(self, event: Heard) -> None:
        self._metrics.heard(event.duration_ms / 1000)
        end_ns = now_ns()
        about: dict[str, Value] = {"audio_ms": event.duration_ms, "codes": len(event.codes)}
        self._heard = Span("hear", self._hear_ns or end_ns, end_ns, about)
        self._hear_ns = None

    def _made(self) -> None:
        if self._answer is not None and self._answer.first_ns is None:
            self._answer.first_ns = now_ns()

    def _finished(self, answer: _Answer, reply: Reply) -> None:
        if answer.output == "text" and answer.first_ns is not None:
            self._metrics.first_text(reply.timings.first_s)
        usage = reply.usage
        about: dict[str, Value] = {
            "finish": reply.finish,
            "first_ms": round(1000 * reply.timings.first_s),
            "total_ms": round(1000 * reply.timings.total_s),
            "audio_ms": round(1000 * reply.audio_s),
            "prompt_rows": usage.prompt_text_rows + usage.prompt_audio_rows,
            "reply_rows": usage.reply_text_rows + usage.reply_audio_rows,
        }
        self._end(answer, reply.timings.read_s, about)

    def _end(self, answer: _Answer, read_s: float | None, about: Mapping[str, Value]) -> None:
        """Tell of an answer that is over, however it ended."""
        self._answer = None
        about = {"version": self._version, "output": answer.output, **about}
        trace = self._trace(answer, read_s, about)
        _LOG.info("answered", extra={"fields": {**answer.ids, **trace, **about}})

    def _trace(self, answer: _Answer, read_s: float | None, about: Mapping[str, Value]) -> Ids:
        """Send the turn's trace; the id that the log names it by."""
        if self._traces is None:
            return {}
        end_ns = now_ns()
        begin_ns = answer.asked_ns if answer.heard is None else answer.heard.begin_ns
        ids = {f"{name}_id": str(value) for name, value in answer.ids.items()}
        whole = Span("turn", begin_ns, end_ns, {**ids, **about})
        return self._traces.turn(whole, answer.parts(read_s, end_ns), answer.traceparent)
