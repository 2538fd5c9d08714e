"""Answers with another rendition's beginning, so that how one begins does not tell its end.

A synthesised sentence sounds a little different each time. A model that has heard few
renditions learns which answer a beginning belongs to, and then answers by how it happened to
begin instead of by the question (docs/decisions.md).
"""

from collections.abc import Sequence

import numpy as np

from moss_speech.corpus.packing.material import Codes, Spoken


class Splicer:
    """Joins the codes of utterances of one voice at word borders where their texts part."""

    def __init__(self, spoken: Sequence[Spoken]) -> None:
        self._openings: dict[tuple[str, ...], list[Spoken]] = {}
        self._texts: dict[tuple[str, ...], set[str]] = {}
        for s in (s for s in spoken if s.words):
            words = tuple(word.word for word in s.words)
            for n_words in range(1, len(words)):
                self._openings.setdefault(words[:n_words], []).append(s)
                self._texts.setdefault(words[:n_words], set()).add(s.text)

    def splice(self, said: Spoken, random: np.random.Generator) -> Codes:
        """Codes of `said` behind the shared opening words as a random utterance says them.

        The opening is the longest that another text shares; without one the codes stay.
        """
        n_words = self._shared(said)
        if n_words == 0:
            return said.codes
        others = self._openings[tuple(word.word for word in said.words[:n_words])]
        other = others[int(random.integers(len(others)))]
        opening = other.codes[: other.words[n_words].start_code]
        return np.concatenate((opening, said.codes[said.words[n_words].start_code :]))

    def _shared(self, said: Spoken) -> int:
        words = tuple(word.word for word in said.words)
        for n_words in range(len(words) - 1, 0, -1):
            if len(self._texts.get(words[:n_words], ())) > 1:
                return n_words
        return 0
