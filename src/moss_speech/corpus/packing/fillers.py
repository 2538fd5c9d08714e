"""Stray words inside a spoken question, so that a model listens for those that decide.

A few wordings of each question are rote; a test wording says the same between other words.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from moss_speech.corpus.packing.material import Codes, Exchange, Spoken

_COMMON_ANSWERS = 5
"""A word that is asked with so many different answers decides none of them."""
_MAX_WORDS = 3


class Fillers:
    """Single spoken words that decide no answer, to be said between the words of a question."""

    def __init__(self, spoken: Sequence[Spoken], exchanges: Sequence[Exchange]) -> None:
        answers: dict[str, set[str]] = defaultdict(set)
        for exchange in exchanges:
            for word in exchange.question.split():
                answers[word].add(exchange.answer)
        deciding = {word for word, said in answers.items() if len(said) < _COMMON_ANSWERS}
        self._words: list[Codes] = [
            s.codes[w.start_code : w.end_code]
            for s in spoken
            for w in s.words
            if w.word not in deciding and w.end_code > w.start_code
        ]

    def insert(self, asked: Spoken, random: np.random.Generator) -> Codes:
        """Codes of `asked` with one to three stray words before, between or after its words."""
        if not asked.words or not self._words:
            return asked.codes
        places = [0, *(w.start_code for w in asked.words[1:]), len(asked.codes)]
        chosen = sorted(random.choice(places, int(random.integers(1, _MAX_WORDS + 1))))
        pieces = np.split(asked.codes, chosen)
        for i in range(len(chosen), 0, -1):
            pieces.insert(i, self._words[int(random.integers(len(self._words)))])
        return np.concatenate(pieces)
