"""Where each word lies in the codes, by forced alignment of the codec's CTC read-out.

Shapes: U character frames (4 a code) · A alphabet with the blank.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import forced_align

from moss_speech.codec.model import Codec, Codes
from moss_speech.codec.readout import BLANK, FRAMES_PER_CODE, Alphabet
from moss_speech.storage import read_jsonl, write_jsonl

_BORDERS = "borders.jsonl"


@dataclass(frozen=True)
class WordSpan:
    """A word and its codes `start_code` to before `end_code`, at least one."""

    word: str
    start_code: int
    end_code: int


class AlignmentError(ValueError):
    """An item whose text does not fit its codes; the first argument is a short reason."""


def align_words(codec: Codec, codes: Codes, text: str, min_score: float) -> list[WordSpan]:
    """Spans of all words in order, without gaps between words; raises `AlignmentError`.

    A border lies in the middle between the last character of a word and the first of the
    next. `min_score` bounds the mean log-probability of the characters.
    """
    assert codec.readout is not None
    log_probs_UA, alphabet = codec.log_probs(codes), codec.readout.alphabet
    words = text.split()
    frames = _character_frames(log_probs_UA, " ".join(words), alphabet, min_score)
    ends, place = [], 0
    for word in words:
        ends.append((frames[place][0], frames[place + len(word) - 1][1]))
        place += len(word) + 1
    return _spans(words, ends, len(codes))


def _character_frames(
    log_probs_UA: Tensor, text: str, alphabet: Alphabet, min_score: float
) -> list[tuple[int, int]]:
    """First and last frame of each character of a text."""
    try:
        target = alphabet.encode(text)
    except ValueError as error:
        raise AlignmentError("alphabet") from error
    repeats = sum(a == b for a, b in pairwise(target))
    if not target or len(target) + repeats > len(log_probs_UA):
        raise AlignmentError("too short")
    path_1U, score_1U = forced_align(
        log_probs_UA[None].contiguous(), torch.tensor([target]), blank=BLANK
    )
    path_U, score_U = path_1U[0], score_1U[0]
    if float(score_U[path_U != BLANK].mean()) < min_score:
        raise AlignmentError("score")
    frames, at = [], 0
    for label, run in groupby(path_U.tolist()):
        length = len(list(run))
        if label != BLANK:
            frames.append((at, at + length - 1))
        at += length
    return frames


def _spans(words: list[str], ends: list[tuple[int, int]], n_codes: int) -> list[WordSpan]:
    """Codes from frames: borders in the middle of gaps, every word at least one code."""
    middles = [(last + 1 + first) / 2 for (_, last), (first, _) in pairwise(ends)]
    borders = [ends[0][0] // FRAMES_PER_CODE]
    borders += [round(middle / FRAMES_PER_CODE) for middle in middles]
    borders += [-(-(ends[-1][1] + 1) // FRAMES_PER_CODE)]
    for i in range(1, len(borders)):
        borders[i] = max(borders[i], borders[i - 1] + 1)
    if borders[-1] > n_codes:
        raise AlignmentError("too short")
    return [
        WordSpan(word, start, end)
        for word, (start, end) in zip(words, pairwise(borders), strict=True)
    ]


def write_borders(folder: Path, borders: Mapping[str, list[WordSpan]]) -> None:
    """Write borders into an existing folder."""
    rows = (
        {"id": id_, "words": [[s.word, s.start_code, s.end_code] for s in spans]}
        for id_, spans in borders.items()
    )
    write_jsonl(folder / _BORDERS, rows)


def open_borders(folder: Path) -> dict[str, list[WordSpan]]:
    """Word spans by utterance id; utterances that could not be aligned are absent."""
    rows = read_jsonl(folder / _BORDERS)
    return {row["id"]: [WordSpan(*word) for word in row["words"]] for row in rows}


def mean_word_codes(borders: Mapping[str, list[WordSpan]]) -> float:
    """Mean length of a word in codes, 0 without words."""
    lengths = [s.end_code - s.start_code for spans in borders.values() for s in spans]
    return float(np.mean(lengths)) if lengths else 0.0
