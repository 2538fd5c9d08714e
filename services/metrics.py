"""What Prometheus sees of a worker: conversations, answers, the engine's work, the event loop.

`Metrics` is the engine's `Observer`; the routes tell it the rest. Import it inside a worker only:
prometheus_client chooses its multi-process store at import, from a folder that BentoML names when
the worker starts. Gauges are added up over the workers that live, counters over all there were.
"""

from typing import Literal, get_args

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from moss_speech.inference.observer import Kind
from moss_speech.inference.turns import Finish

_LATENCY_S = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1, 1.5, 2, 3, 5, 10)
_RATIO = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.25, 1.5, 2, 4)
_STEP_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
_LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 5)
_BATCH = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)

Swap = Literal["steady", "loading", "draining", "failed"]
"""What a worker does about a new champion: nothing, open it, let old conversations end, give up."""


class Metrics:
    """Figures of one worker."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._describe_conversations()
        self._describe_answers()
        self._describe_engine()
        self._describe_worker()

    def _describe_conversations(self) -> None:
        self._sessions = self._gauge("moss_sessions", "Live conversations")
        self._waiting = self._gauge("moss_waiting", "Answers asked for of which nothing is out")
        self._refused = self._counter("moss_refused_total", "Refusals and errors by code", "code")
        self._failed = self._counter("moss_failed_total", "Conversations that the engine failed")
        self._slow = self._counter(
            "moss_slow_clients_total", "Clients disconnected as they did not read"
        )
        self._heard_s = self._counter("moss_heard_seconds_total", "Speech that became a turn")

    def _describe_answers(self) -> None:
        self._answers = self._counter("moss_answers_total", "Answers by how they ended", "finish")
        for finish in get_args(Finish):
            self._answers.labels(finish)
        self._spoken_s = self._counter("moss_spoken_seconds_total", "Speech answered")
        self._first_audio_s = self._histogram(
            "moss_first_audio_seconds", "Answer asked for to its first sound", _LATENCY_S
        )
        self._first_text_s = self._histogram(
            "moss_first_text_seconds", "Answer asked for to its first text", _LATENCY_S
        )
        self._factor = self._histogram(
            "moss_real_time_factor", "Seconds under way for a second of spoken answer", _RATIO
        )
        self._underruns = self._counter("moss_underruns_total", "Times that sound came too late")
        self._underrun_s = self._counter("moss_underrun_seconds_total", "By how much it was late")

    def _describe_engine(self) -> None:
        step_s = self._histogram(
            "moss_engine_step_seconds", "Pieces of the engine's work", _STEP_S, "kind"
        )
        batch = self._histogram(
            "moss_engine_batch", "Conversations that a piece of work was for", _BATCH, "kind"
        )
        self._step_s = {kind: step_s.labels(kind) for kind in get_args(Kind)}
        self._batch = {kind: batch.labels(kind) for kind in get_args(Kind)}

    def _describe_worker(self) -> None:
        self._lag_s = self._histogram(
            "moss_event_loop_lag_seconds", "How late the event loop woke a sleeper", _LAG_S
        )
        self._model = self._gauge(
            "moss_model_workers", "Workers that give it to new conversations", "version", "digest"
        )
        self._session_bytes = Gauge(
            "moss_session_state_bytes", "Memory set aside for a conversation",
            registry=self._registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._swap = self._gauge("moss_swap_workers", "Workers by state of the hot swap", "state")
        self.swap("steady")
        self._http = self._counter(
            "moss_http_requests_total", "Requests and WebSockets", "method", "route", "status"
        )
        self._http_s = self._histogram(
            "moss_http_seconds", "Request to its last byte, WebSockets left out", _LATENCY_S,
            "route",
        )  # fmt: skip

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self._registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        mode: Literal["livesum"] = "livesum"
        return Gauge(name, about, labels, registry=self._registry, multiprocess_mode=mode)

    def _histogram(
        self, name: str, about: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(name, about, labels, registry=self._registry, buckets=buckets)

    def engine_step(self, kind: Kind, seconds: float, batch: int) -> None:
        """One piece of work: its kind, how long it took, for how many conversations."""
        self._step_s[kind].observe(seconds)
        self._batch[kind].observe(batch)

    def session(self, delta: int) -> None:
        """A conversation began (1) or ended (-1)."""
        self._sessions.inc(delta)

    def waiting(self, delta: int) -> None:
        """So many more answers, or fewer, are asked for and have not begun to sound."""
        self._waiting.inc(delta)

    def first_audio(self, seconds: float) -> None:
        """An answer began to sound, so long after it was asked for."""
        self._first_audio_s.observe(seconds)

    def underrun(self, seconds: float) -> None:
        """Sound came so much later than what was there before had been played."""
        self._underruns.inc()
        self._underrun_s.inc(seconds)

    def finished(self, finish: Finish, audio_s: float, busy_s: float) -> None:
        """An answer ended: its length, and how long it was under way."""
        self._answers.labels(finish).inc()
        if audio_s:
            self._spoken_s.inc(audio_s)
            self._factor.observe(busy_s / audio_s)

    def heard(self, seconds: float) -> None:
        """A turn of the user: how long it speaks."""
        self._heard_s.inc(seconds)

    def first_text(self, seconds: float) -> None:
        """An answer in text began, so long after it was asked for."""
        self._first_text_s.observe(seconds)

    def refused(self, code: str) -> None:
        """Count an error that a client was told; codes are the service's own, never sent text."""
        self._refused.labels(code).inc()

    def failed(self) -> None:
        """Count a conversation that ended because the engine failed."""
        self._failed.inc()

    def slow_client(self) -> None:
        """Count a client that was disconnected because it did not read."""
        self._slow.inc()

    def lag(self, seconds: float) -> None:
        """The event loop woke a sleeper so late."""
        self._lag_s.observe(seconds)

    def serving(self, version: str, digest: str, session_bytes: int = 0) -> None:
        """From now on new conversations get this model; each has so much memory set aside."""
        self._model.labels(version, digest).set(1)
        self._session_bytes.set(session_bytes)

    def retired(self, version: str, digest: str) -> None:
        """New conversations no longer get this model."""
        self._model.labels(version, digest).set(0)

    def swap(self, state: Swap) -> None:
        """What this worker does about a new champion."""
        for one in get_args(Swap):
            self._swap.labels(one).set(one == state)

    def request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """A request that was answered, or a WebSocket, which has no seconds; routes are ours."""
        self._http.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._http_s.labels(route).observe(seconds)
