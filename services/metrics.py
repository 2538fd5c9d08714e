"""What Prometheus sees of the answers, beside BentoML's own request metrics.

Import it inside a worker only: prometheus_client chooses its multi-process store at import,
from a folder that BentoML names when the worker starts.
"""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from moss_speech.inference.turns import Reply

_LATENCY_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
_RATIO = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 4)


class Metrics:
    """Counters and histograms of one worker."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._answers = Counter(
            "moss_answers_total", "Answers by output and finish", ["output", "finish"],
            registry=registry,
        )  # fmt: skip
        self._refused = Counter(
            "moss_refused_total", "Refused requests by code", ["code"], registry=registry
        )
        self._heard = Counter(
            "moss_heard_rows_total", "Rows of speech in prompts, 80 ms each", registry=registry
        )
        self._spoken_s = Counter(
            "moss_spoken_seconds_total", "Seconds of speech answered", registry=registry
        )
        self._first_s = Histogram(
            "moss_first_seconds", "Question whole to first audio or text", ["output"],
            registry=registry, buckets=_LATENCY_S,
        )  # fmt: skip
        self._factor = Histogram(
            "moss_real_time_factor", "Seconds computed for a second of spoken answer",
            registry=registry, buckets=_RATIO,
        )  # fmt: skip
        self.admitted = Gauge(
            "moss_admitted", "Answers under way or waiting", registry=registry,
            multiprocess_mode="livesum",
        )  # fmt: skip

    def answered(self, reply: Reply, output: str) -> None:
        """Count one whole answer."""
        self._answers.labels(output, reply.finish).inc()
        self._heard.inc(reply.usage.prompt_audio_rows)
        self._first_s.labels(output).observe(reply.timings.first_s)
        if reply.audio.size:
            self._spoken_s.inc(reply.audio_s)
            self._factor.observe(reply.timings.total_s / reply.audio_s)

    def refused(self, code: str) -> None:
        """Count one refused request."""
        self._refused.labels(code).inc()
