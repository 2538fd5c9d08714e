"""The code metric: which known rendition of an answer do spoken codes resemble most?

It needs no audio and no recogniser, so training can afford it; the evaluation puts it beside
the judges to show how far it may be trusted.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from moss_speech.corpus.items import Dialogue

Codes = NDArray[np.int64]
_FIRST_LETTER = 0x10000
"""Codes become letters of the astral planes, so that the edit distance runs on strings."""


def _letters(codes: Iterable[int]) -> str:
    return "".join(chr(_FIRST_LETTER + int(code)) for code in codes)


class KnownAnswers:
    """Renditions of answers as codes; several may say the same words."""

    def __init__(self, dialogues: Sequence[Dialogue], codes: Mapping[str, Codes]) -> None:
        spoken = {
            id_: turn.text
            for dialogue in dialogues
            for turn in dialogue.turns
            if turn.role == "assistant"
            for id_ in turn.utterances
            if id_ in codes
        }
        if not spoken:
            raise ValueError("the dialogues hold 0 spoken answers, must hold at least 1")
        self._answers = list(spoken.values())
        self._letters = [_letters(codes[id_]) for id_ in spoken]

    def nearest(self, spoken: Sequence[Sequence[int]]) -> list[str]:
        """For each code sequence the answer of the closest rendition; the first wins a draw."""
        edits = cdist([_letters(c) for c in spoken], self._letters, scorer=Levenshtein.distance)
        return [self._answers[i] for i in edits.argmin(axis=1)]
