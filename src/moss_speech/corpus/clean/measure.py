"""What is measured of every item, cheaply: decode, speech, loudness, clipping, fingerprint.

A long recording is measured piece by piece; given words are parted among them.
Shapes: S samples at 16 kHz.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from moss_speech.audio import LISTENING, Span
from moss_speech.corpus.clean.blocks import Row, Work
from moss_speech.corpus.clean.duplicates import fingerprint
from moss_speech.corpus.clean.parting import part_words
from moss_speech.corpus.clean.pieces import cut_up
from moss_speech.corpus.items import Utterance
from moss_speech.params.clean import Clean
from moss_speech.speech.loudness import loudness_lufs
from moss_speech.speech.recognisers import open_recogniser
from moss_speech.speech.text import normalise
from moss_speech.speech.vad import speech_spans

_TOLERANCE_S = 1e-3


@dataclass(frozen=True)
class Measured:
    """What is known of one decodable item."""

    id: str
    duration_s: float
    speech_s: float
    """From the first to the last sound of speech."""
    loudness_lufs: float
    clipped_share: float
    fingerprint: bytes
    span: Span | None = None
    """Where a piece lies in the recording; None: the item was not cut."""
    words: str | None = None
    """The piece's part of given words."""
    word_error: float = 0.0
    """Edit distance of that part and what a recogniser hears."""


@dataclass(frozen=True)
class Undecodable:
    """An item whose file is no whole audio."""

    id: str
    reason: str


def has_given_words(u: Utterance) -> bool:
    """Whether the transcript came with the recording."""
    return u.tags.get("transcript", "given") not in ("missing", "none")


def is_cut_up(u: Utterance, p: Clean) -> bool:
    """Long and no turn of a dialogue."""
    return u.duration_s > p.duration_s[1] and u.role not in ("question", "answer")


def measure(u: Utterance, root: Path, p: Clean) -> Measured | Undecodable:
    """Decode and measure one item; its declared duration must be real."""
    try:
        samples_S = u.read(LISTENING.sample_rate_hz, root)
    except ValueError as error:
        return Undecodable(u.id, str(error))
    real_s = len(samples_S) / LISTENING.sample_rate_hz
    if abs(real_s - u.duration_s) > _TOLERANCE_S:
        return Undecodable(u.id, f"declared {u.duration_s:.3f} s, holds {real_s:.3f} s")
    spans = speech_spans(samples_S)
    return Measured(
        id=u.id,
        duration_s=real_s,
        speech_s=spans[-1].end_s - spans[0].start_s if spans else 0.0,
        loudness_lufs=loudness_lufs(samples_S, LISTENING.sample_rate_hz),
        clipped_share=float(np.mean(np.abs(samples_S) >= p.clip_level)),
        fingerprint=fingerprint(samples_S),
        span=u.span,
    )


def measure_all(u: Utterance, root: Path, p: Clean) -> list[Measured] | Undecodable:
    """Measure an item, or each of the pieces that it is cut into; none: it holds no speech."""
    try:
        if not (root / u.audio).is_file():  # a pipe would be waited for, a device never ends
            return Undecodable(u.id, f"{u.audio} is no file")
        pieces = cut_up(u, root, p.duration_s[1]) if is_cut_up(u, p) else [u]
    except (ValueError, OSError) as error:
        return Undecodable(u.id, str(error))
    measured = []
    for piece in pieces:
        found = measure(piece, root, p)
        if isinstance(found, Undecodable):
            return Undecodable(u.id, found.reason)
        measured.append(found)
    return _parted(u, pieces, measured, root, p) if measured and is_cut_up(u, p) else measured


def parts_of(found: list[Measured] | Undecodable) -> Sequence[Measured | Undecodable | None]:
    """What is judged of an item, each by itself; None: it was to be cut up, but holds no speech."""
    return [found] if isinstance(found, Undecodable) else [*found] or [None]


def _parted(
    u: Utterance, pieces: list[Utterance], measured: list[Measured], root: Path, p: Clean
) -> list[Measured]:
    """Each piece with its part of the given words, if words were given."""
    if not has_given_words(u):
        return measured
    if (recogniser := open_recogniser(p.recognisers[0], u.language)) is None:
        return [replace(m, words="", word_error=1.0) for m in measured]
    heard = []
    for piece in pieces:
        (text,) = recogniser.transcribe([piece.read(LISTENING.sample_rate_hz, root)])
        heard.append(text)
    parts = part_words(normalise(u.text).split(), [text.split() for text in heard])
    words = [" ".join(part) for part in parts]
    errors = [Levenshtein.normalized_distance(a, b) for a, b in zip(words, heard, strict=True)]
    return [
        replace(m, words=part, word_error=error)
        for m, part, error in zip(measured, words, errors, strict=True)
    ]


def to_row(found: list[Measured] | Undecodable) -> Row:
    """As JSON."""
    if isinstance(found, Undecodable):
        return {"undecodable": found.reason}
    return {
        "measured": [
            {
                "id": m.id,
                "duration_s": m.duration_s,
                "speech_s": m.speech_s,
                "loudness_lufs": m.loudness_lufs,
                "clipped_share": m.clipped_share,
                "fingerprint": m.fingerprint.hex(),
                "span": None if m.span is None else [m.span.start_s, m.span.duration_s],
                "words": m.words,
                "word_error": m.word_error,
            }
            for m in found
        ]
    }


def from_row(row: Row, id_: str) -> list[Measured] | Undecodable:
    """Read what `to_row` made of the item `id_`."""
    if "undecodable" in row:
        return Undecodable(id_, row["undecodable"])
    return [
        Measured(
            **m
            | {
                "fingerprint": bytes.fromhex(m["fingerprint"]),
                "span": None if m["span"] is None else Span(*m["span"]),
            }
        )
        for m in row["measured"]
    ]


def _block(utterances: tuple[Utterance, ...], root: Path, p: Clean) -> list[Row]:
    return [to_row(measure_all(u, root, p)) for u in utterances]


MEASURING = Work("measured", _block, 200)
