"""Long texts and long recordings, cut into what the model takes in one go.

Shapes: S samples at 16 kHz.
"""

import math
import re

from moss_speech.audio import LISTENING, Samples
from moss_speech.inference.questions import Limits
from moss_speech.inference.turns import QuestionError
from moss_speech.speech.vad import Span, speech_spans

_BORDERS = (
    re.compile(r"(?<=[.!?…])(?=\s)|(?<=[。！？])|(?<=\n)"),
    re.compile(r"(?<=[,;:])(?=\s)|(?<=[，；：、])"),
    re.compile(r"(?<=\s)(?=\S)"),
)
"""Where a text is cut: after sentences, else after clauses, else between words."""

_FIRST_WIDE = "\u2e80"
_ROWS_OF_LETTER, _ROWS_OF_WIDE = 1, 3
"""Slow speech: 12.5 letters a second, or 4 Chinese characters, at 12.5 rows a second."""

PADDING_S = 0.2
"""Kept around speech that is cut out."""


def rows_of(text: str) -> int:
    """Rows of the grid that speaking a text takes at most, if it is spoken slowly."""
    return sum(_ROWS_OF_WIDE if char >= _FIRST_WIDE else _ROWS_OF_LETTER for char in text)


def text_pieces(text: str, max_rows: int) -> list[str]:
    """A text in pieces that take at most so many rows each, cut at sentence ends where it can be.

    Raises `QuestionError` if there is no letter or digit in it.
    """
    pieces: list[str] = []
    for part in _parts(text, max_rows, 0):
        if pieces and rows_of(pieces[-1] + part) <= max_rows:
            pieces[-1] += part
        else:
            pieces.append(part)
    spoken = [piece.strip() for piece in pieces if any(char.isalnum() for char in piece)]
    if not spoken:
        raise QuestionError("empty_text", "the input holds no word, must hold at least one")
    return spoken


def _parts(text: str, max_rows: int, level: int) -> list[str]:
    if rows_of(text) <= max_rows:
        return [text]
    if level == len(_BORDERS):
        n_chars = max(1, max_rows // _ROWS_OF_WIDE)
        return [text[i : i + n_chars] for i in range(0, len(text), n_chars)]
    parts = _BORDERS[level].split(text)
    return [piece for part in parts for piece in _parts(part, max_rows, level + 1)]


def speech_pieces(samples_S: Samples, limits: Limits) -> list[Samples]:
    """A recording as it is if the model hears it in one go, else its speech, cut at pauses.

    Raises `QuestionError` if nobody speaks in a recording that must be cut.
    """
    rate_hz = LISTENING.sample_rate_hz
    if samples_S.size <= limits.max_s * rate_hz:
        return [samples_S]
    spans = [part for span in speech_spans(samples_S) for part in _cut(span, limits)]
    if not spans:
        raise QuestionError("no_speech", "no speech was heard in the whole recording")
    joined = spans[:1]
    for span in spans[1:]:
        whole = Span(joined[-1].start_s, span.end_s)
        if _padded_s(whole) <= limits.max_s:
            joined[-1] = whole
        else:
            joined.append(span)
    return [_samples(samples_S, span, rate_hz) for span in joined]


def _padded_s(span: Span) -> float:
    return span.end_s - span.start_s + 2 * PADDING_S


def _cut(span: Span, limits: Limits) -> list[Span]:
    """One span, or equal parts of it if it holds no pause for too long."""
    room_s = limits.max_s - 2 * PADDING_S
    n_parts = math.ceil((span.end_s - span.start_s) / room_s)
    step_s = (span.end_s - span.start_s) / n_parts
    starts_s = [span.start_s + i * step_s for i in range(n_parts)]
    return [Span(start_s, start_s + step_s) for start_s in starts_s]


def _samples(samples_S: Samples, span: Span, rate_hz: int) -> Samples:
    begin = max(0, math.ceil((span.start_s - PADDING_S) * rate_hz))
    return samples_S[begin : math.floor((span.end_s + PADDING_S) * rate_hz)]
