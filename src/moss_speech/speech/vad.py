"""Where speech is: the Silero voice activity graph, whole or streamed.

Shapes: S samples at 16 kHz, W windows of 32 ms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moss_speech.audio import LISTENING, Samples
from moss_speech.speech.packaged import packaged_graph

GRAPH = ("silero_vad", "data/silero_vad_16k_sequence.onnx")
WINDOW_SAMPLES, CONTEXT_SAMPLES, STATE_WIDTH = 512, 64, 128
WINDOW_S = WINDOW_SAMPLES / LISTENING.sample_rate_hz
MIN_GAP_S = 0.2
"""Shorter pauses do not end a span."""


class VadStream:
    """Voice activity of one conversation; pushed in any pieces it gives the same windows."""

    def __init__(self) -> None:
        self._rest_S: Samples = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._h = np.zeros((1, 1, STATE_WIDTH), np.float32)
        self._c = np.zeros((1, 1, STATE_WIDTH), np.float32)

    def push(self, samples_S: Samples) -> NDArray[np.float32]:
        """Speech probability of each window that is complete now, float32 [W]."""
        heard_S = np.concatenate([self._rest_S, samples_S])
        n_windows = (len(heard_S) - CONTEXT_SAMPLES) // WINDOW_SAMPLES
        self._rest_S = heard_S[n_windows * WINDOW_SAMPLES :]
        if n_windows == 0:
            return np.zeros(0, np.float32)
        width = CONTEXT_SAMPLES + WINDOW_SAMPLES
        views = np.lib.stride_tricks.sliding_window_view(heard_S, width)
        rows = np.ascontiguousarray(views[::WINDOW_SAMPLES][:n_windows])
        feeds = {"input": rows, "h": self._h, "c": self._c}
        probability_W, self._h, self._c = packaged_graph(*GRAPH).run(None, feeds)
        return np.asarray(probability_W, dtype=np.float32)


@dataclass(frozen=True)
class Span:
    """A stretch of speech."""

    start_s: float
    end_s: float


def speech_spans(samples_S: Samples, threshold: float = 0.5) -> list[Span]:
    """Stretches of speech in samples at 16 kHz; pauses below 0.2 s do not split them."""
    padded_S = np.pad(samples_S, (0, -len(samples_S) % WINDOW_SAMPLES))
    return spans_of(
        VadStream().push(padded_S), len(samples_S) / LISTENING.sample_rate_hz, threshold
    )


def spans_of(
    probability_W: NDArray[np.float32], duration_s: float, threshold: float = 0.5
) -> list[Span]:
    """Stretches of windows that speak; pauses below 0.2 s do not split them."""
    speaking = np.flatnonzero(probability_W >= threshold)
    if speaking.size == 0:
        return []
    pauses = np.flatnonzero(np.diff(speaking) * WINDOW_S > MIN_GAP_S)
    firsts = [speaking[0], *speaking[pauses + 1]]
    lasts = [*speaking[pauses], speaking[-1]]
    return [
        Span(float(a * WINDOW_S), float(min((b + 1) * WINDOW_S, duration_s)))
        for a, b in zip(firsts, lasts, strict=True)
    ]


def speech_only(samples_S: Samples) -> Samples:
    """The stretches of speech in samples at 16 kHz, joined; all samples if there are none."""
    rate_hz = LISTENING.sample_rate_hz
    spans = speech_spans(samples_S)
    parts = [samples_S[int(s.start_s * rate_hz) : int(s.end_s * rate_hz)] for s in spans]
    return np.concatenate(parts) if parts else samples_S
