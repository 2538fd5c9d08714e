"""Given words of a long recording, parted among the pieces that it is cut into.

What a recogniser hears in the pieces is laid along the given words by least edits; where a piece
ends in what was heard, its words end in what was given.
"""

from collections.abc import Sequence
from itertools import pairwise

from rapidfuzz.distance import Levenshtein


def part_words(given: Sequence[str], heard: Sequence[Sequence[str]]) -> list[list[str]]:
    """The given words, in order and each once, as one list for each piece that was heard."""
    said = [word for piece in heard for word in piece]
    ends, n_heard = [0], 0
    for piece in heard[:-1]:
        n_heard += len(piece)
        ends.append(n_heard)
    at = _places(given, said)
    borders = [at[end] for end in ends] + [len(given)]
    borders[0] = 0
    return [list(given[first:end]) for first, end in pairwise(borders)]


def _places(given: Sequence[str], said: Sequence[str]) -> list[int]:
    """For each gap between heard words, before the first to after the last, that between given."""
    places = [0] * (len(said) + 1)
    for step in Levenshtein.opcodes(given, said):
        n_given, n_said = step.src_end - step.src_start, step.dest_end - step.dest_start
        for n in range(1, n_said + 1):
            places[step.dest_start + n] = step.src_start + n * n_given // n_said
        if not n_said:  # unheard words belong to what was said before
            places[step.dest_start] = step.src_end
    return places
