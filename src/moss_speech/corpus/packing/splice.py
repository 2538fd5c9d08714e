"""What a spoken answer sounds like in training: typical renditions, openings shared by texts.

A synthesised sentence sounds a little different each time. A model that has heard few
renditions learns which answer a beginning belongs to, and then answers by how it happened to
begin instead of by the question (docs/decisions.md).
"""

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from moss_speech.corpus.packing.material import Codes, Spoken

_FIRST_LETTER = 0x10000


def most_typical(renditions: Sequence[Codes], n_kept: int) -> list[int]:
    """Indices of the renditions with the least edits to all others, most typical first."""
    letters = ["".join(chr(_FIRST_LETTER + int(c)) for c in codes) for codes in renditions]
    edits = cdist(letters, letters, scorer=Levenshtein.distance).sum(axis=1)
    return [int(i) for i in np.argsort(edits, kind="stable")[:n_kept]]


class Splicer:
    """Gives utterances of one voice the opening that others have, where their texts part."""

    def __init__(self, spoken: Sequence[Spoken], n_openings: int) -> None:
        self._texts: dict[tuple[str, ...], set[str]] = {}
        openings: dict[tuple[str, ...], list[Codes]] = {}
        for s in (s for s in spoken if s.words):
            words = tuple(word.word for word in s.words)
            for n_words in range(1, len(words)):
                opening = s.codes[: s.words[n_words].start_code]
                openings.setdefault(words[:n_words], []).append(opening)
                self._texts.setdefault(words[:n_words], set()).add(s.text)
        self._openings = {
            words: [found[i] for i in most_typical(found, n_openings)]
            for words, found in openings.items()
            if len(self._texts[words]) > 1
        }

    def splice(self, said: Spoken, random: np.random.Generator) -> Codes:
        """Codes of `said` behind one of the typical openings of its first words.

        The opening is the longest that another text shares; without one the codes stay.
        """
        words = tuple(word.word for word in said.words)
        for n_words in range(len(words) - 1, 0, -1):
            if found := self._openings.get(words[:n_words]):
                opening = found[int(random.integers(len(found)))]
                return np.concatenate((opening, said.codes[said.words[n_words].start_code :]))
        return said.codes
