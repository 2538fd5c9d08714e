"""Where a long recording is cut: at pauses, else where it speaks least; never above a length.

Shapes: W windows of the voice activity graph, S samples at 16 kHz.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moss_speech.audio import LISTENING, Samples, Span
from moss_speech.corpus.items import Utterance
from moss_speech.speech.vad import WINDOW_S, WINDOW_SAMPLES, VadStream, spans_of

READ_S = 60.0
"""Of a long recording that is held at a time."""
PAUSE_S = 0.15
"""Silence that a piece keeps before and after its speech, where there is so much."""
MAX_GAP_S = 1.0
"""Longer pauses always part two pieces."""
_CRUMB_S, _ROUNDING_S = 1.0, 0.01


def cut_up(utterance: Utterance, root: Path, max_s: float) -> list[Utterance]:
    """An utterance of any length as pieces of at most `max_s` that hold all its speech.

    Raises `ValueError` naming the file if any of it cannot be read.
    """
    parts = (part.read(LISTENING.sample_rate_hz, root) for part in _parts(utterance))
    first_s = 0.0 if utterance.span is None else utterance.span.start_s
    return [
        replace(
            utterance,
            id=f"{utterance.id}-{number:04d}",
            span=Span(first_s + piece.start_s, piece.duration_s),
            duration_s=piece.duration_s,
        )
        for number, piece in enumerate(
            pieces(speech_probability(parts), utterance.duration_s, max_s)
        )
    ]


def _parts(utterance: Utterance) -> Iterator[Utterance]:
    """The utterance in parts that are short enough to be held; no crumb at the end."""
    start_s = 0.0 if utterance.span is None else utterance.span.start_s
    end_s = start_s + utterance.duration_s
    while start_s < end_s:
        rest_s = end_s - start_s
        length_s = READ_S if rest_s > READ_S + _CRUMB_S else rest_s
        yield replace(utterance, span=Span(start_s, length_s), duration_s=length_s)
        start_s += length_s


def speech_probability(parts: Iterable[Samples]) -> NDArray[np.float32]:
    """Probability of speech in each window of samples that come in parts, float32 [W]."""
    stream = VadStream()
    found = [stream.push(part_S) for part_S in parts]
    return np.concatenate([*found, stream.push(np.zeros(WINDOW_SAMPLES - 1, np.float32))])


def pieces(probability_W: NDArray[np.float32], duration_s: float, max_s: float) -> list[Span]:
    """Spans of at most `max_s` that hold all speech, in order, without overlap."""
    longest_s = max(max_s - 2 * PAUSE_S - _ROUNDING_S, 3 * WINDOW_S)
    joined: list[tuple[float, float]] = []
    for start_s, end_s in _short_spans(probability_W, duration_s, longest_s):
        begun = joined[-1] if joined else None
        if begun and start_s - begun[1] <= MAX_GAP_S and end_s - begun[0] <= longest_s:
            joined[-1] = (begun[0], end_s)
        else:
            joined.append((start_s, end_s))
    return _with_pauses(joined, duration_s)


def _short_spans(
    probability_W: NDArray[np.float32], duration_s: float, longest_s: float
) -> Iterator[tuple[float, float]]:
    """Stretches of speech; one that is too long is cut where speech is least likely."""
    n_longest = int(longest_s / WINDOW_S)
    for span in spans_of(probability_W, duration_s):
        start_s, first = span.start_s, round(span.start_s / WINDOW_S)
        while span.end_s - start_s > longest_s:
            half = first + n_longest // 2
            first = half + int(np.argmin(probability_W[half : first + n_longest]))
            yield start_s, first * WINDOW_S
            start_s = first * WINDOW_S
        yield start_s, span.end_s


def _with_pauses(joined: list[tuple[float, float]], duration_s: float) -> list[Span]:
    """With the silence around them; where two share a pause, each has half of it at most."""
    spans = []
    for place, (start_s, end_s) in enumerate(joined):
        before_s = (start_s - joined[place - 1][1]) / 2 if place else start_s
        is_last = place + 1 == len(joined)
        after_s = duration_s - end_s if is_last else (joined[place + 1][0] - end_s) / 2
        first_s = start_s - min(PAUSE_S, before_s)
        spans.append(Span(first_s, end_s + min(PAUSE_S, after_s) - first_s))
    return spans
