"""The code metric: which known rendition of an answer do spoken codes resemble most?

It needs no audio and no recogniser, so training can afford it; the report puts it beside the
judges to show how far it may be trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from moss_speech.corpus.items import Dialogue

Codes = NDArray[np.int64]
_FIRST_LETTER = 0x10000
"""Codes become letters of the astral planes, so that the edit distance runs on strings."""


@dataclass(frozen=True)
class Nearest:
    """The answer whose rendition is closest, and how many edits away it is."""

    answer: str
    edits: int


def _letters(codes: Sequence[int] | Codes) -> str:
    return "".join(chr(_FIRST_LETTER + int(code)) for code in codes)


class KnownAnswers:
    """Renditions of answers as codes; several may say the same words."""

    def __init__(self, renditions: Sequence[tuple[str, Codes]]) -> None:
        if not renditions:
            raise ValueError("0 known renditions of answers, must be at least 1")
        self._answers = [answer for answer, _ in renditions]
        self._letters = [_letters(codes) for _, codes in renditions]

    def nearest(self, spoken: Sequence[Sequence[int]]) -> list[Nearest]:
        """For each code sequence the closest rendition; the first one wins a draw."""
        edits = cdist([_letters(c) for c in spoken], self._letters, scorer=Levenshtein.distance)
        best = edits.argmin(axis=1)
        return [Nearest(self._answers[i], int(row[i])) for i, row in zip(best, edits, strict=True)]


def spoken_answers(
    dialogues: Sequence[Dialogue], codes: Mapping[str, Codes]
) -> list[tuple[str, Codes]]:
    """Every rendition of every answer that has codes, each once."""
    spoken = {
        id_: turn.text
        for dialogue in dialogues
        for turn in dialogue.turns
        if turn.role == "assistant"
        for id_ in turn.utterances
        if id_ in codes
    }
    return [(text, codes[id_]) for id_, text in spoken.items()]
