"""Interleaving: an utterance cut at word borders into pieces, typed and spoken in turn."""

from bisect import bisect_left, bisect_right
from itertools import pairwise

import numpy as np

from moss_speech.audio import LISTENING
from moss_speech.corpus.packing.material import Codes, Spoken
from moss_speech.params.lm import Pieces


def cut(spoken: Spoken, p: Pieces, random: np.random.Generator) -> list[int]:
    """The word that each piece begins with, and the number of words at the end.

    A length is drawn for each piece; it ends at the word border nearest to it that the range
    allows. Where the range holds no border, because of a long word or a pause, it ends at the
    nearest one.
    """
    places = _places(spoken, p)
    low, high = p.range
    borders = [0]
    while borders[-1] < len(spoken.words):
        here = borders[-1]
        if p.unit == "words":
            length = float(random.integers(int(low), int(high) + 1))
        else:
            length = float(random.uniform(low, high))
        first = bisect_left(places, places[here] + low, here + 1)
        last = bisect_right(places, places[here] + high, here + 1) - 1
        if first > last:  # no border in the range: whichever of its neighbours is nearer
            first, last = max(here + 1, last), min(first, len(places) - 1)
        borders.append(_nearest(places, places[here] + length, first, last))
    return borders


def _places(spoken: Spoken, p: Pieces) -> list[float]:
    """Where each word begins and the last one ends, in the unit of the range."""
    if p.unit == "words":
        return [float(n) for n in range(len(spoken.words) + 1)]
    starts = [0, *(w.start_code for w in spoken.words[1:]), len(spoken.codes)]
    code_s = 1 / LISTENING.codes_per_s
    return [start * code_s for start in starts]


def _nearest(places: list[float], wanted: float, first: int, last: int) -> int:
    """The border from `first` to `last` that is nearest to a place; the earlier of equals."""
    after = min(max(bisect_left(places, wanted, first, last + 1), first), last)
    before = max(after - 1, first)
    return before if wanted - places[before] <= places[after] - wanted else after


def interleave(spoken: Spoken, p: Pieces, random: np.random.Generator) -> list[str | Codes]:
    """Pieces of an utterance, typed and spoken in turn; together they are all of it."""
    pieces: list[str | Codes] = []
    typed, borders = bool(random.integers(2)), cut(spoken, p, random)
    for first, last in pairwise(borders):
        words = spoken.words[first:last]
        start = words[0].start_code if first else 0
        end = spoken.words[last].start_code if last < len(spoken.words) else len(spoken.codes)
        if typed or end <= start:
            pieces.append(" " * bool(first) + " ".join(w.word for w in words))
        else:
            pieces.append(spoken.codes[start:end])
        typed = not typed
    return pieces
