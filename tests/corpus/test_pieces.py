"""Interleaved pieces: all of the clip, in order, in the range wherever a border allows it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.audio import LISTENING
from moss_speech.corpus.alignment import WordSpan
from moss_speech.corpus.packing.material import Spoken
from moss_speech.corpus.packing.pieces import cut, interleave
from moss_speech.params.base import validate_section
from moss_speech.params.lm import Pieces


@st.composite
def clips(draw: st.DrawFn) -> Spoken:
    """A clip of some words with silence before and after; every code is different."""
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=60))
    before, after = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    ends = np.cumsum([before, *lengths]).tolist()
    words = tuple(WordSpan(f"w{n}", a, b) for n, (a, b) in enumerate(pairwise(ends)))
    return Spoken("id", " ".join(w.word for w in words), np.arange(ends[-1] + after), False, words)


RANGES = st.one_of(
    st.tuples(st.just("words"), st.integers(1, 5), st.integers(0, 4)),
    st.tuples(st.just("s"), st.floats(0.08, 6.0), st.floats(0, 4)),
).map(lambda x: Pieces(unit=x[0], range=[float(x[1]), float(x[1] + x[2])]))


@settings(max_examples=200, deadline=None)
@given(clip=clips(), p=RANGES, seed=st.integers(0, 9))
def test_pieces_alternate_and_are_the_whole_clip(clip: Spoken, p: Pieces, seed: int) -> None:
    pieces = interleave(clip, p, np.random.default_rng(seed))
    borders = cut(clip, p, _after_one_draw(seed))
    assert [isinstance(a, str) for a in pieces[1:]] == [not isinstance(a, str) for a in pieces[:-1]]
    for piece, (first, last) in zip(pieces, pairwise(borders), strict=True):
        words = clip.words[first:last]
        if isinstance(piece, str):
            assert piece == " " * (first > 0) + " ".join(w.word for w in words)
        else:
            start = words[0].start_code if first else 0
            after = clip.words[last:]
            assert piece.tolist() == list(
                range(start, after[0].start_code if after else len(clip.codes))
            )


@settings(max_examples=200, deadline=None)
@given(clip=clips(), p=RANGES, seed=st.integers(0, 9))
def test_pieces_are_in_the_range_wherever_a_border_is(clip: Spoken, p: Pieces, seed: int) -> None:
    borders = cut(clip, p, np.random.default_rng(seed))
    assert borders[0] == 0 and borders[-1] == len(clip.words)
    assert all(a < b for a, b in pairwise(borders))
    places = [0, *(w.start_code for w in clip.words[1:]), len(clip.codes)]
    if p.unit == "words":
        places = list(range(len(places)))
    rate = 1.0 if p.unit == "words" else LISTENING.codes_per_s
    for first, last in pairwise(borders):
        reachable = [(x - places[first]) / rate for x in places[first + 1 :]]
        length = (places[last] - places[first]) / rate
        allowed = [x for x in reachable if p.range[0] <= x <= p.range[1]]
        inside = p.range[0] <= length <= p.range[1]
        rest = last == len(clip.words) and length < p.range[0]
        assert inside or rest or not allowed


def _after_one_draw(seed: int) -> np.random.Generator:
    random = np.random.default_rng(seed)
    random.integers(2)
    return random


def test_published_range_gives_pieces_of_all_its_lengths() -> None:
    ends = range(0, 3000, 4)  # words of 0.32 s
    words = tuple(WordSpan("w", a, b) for a, b in pairwise(ends))
    clip = Spoken("id", "w", np.zeros(ends[-1], np.int64), False, words)
    p, lengths = Pieces(unit="s", range=[3.0, 6.0]), []
    for seed in range(5):
        borders = cut(clip, p, np.random.default_rng(seed))
        lengths += [(b - a) * 0.32 for a, b in pairwise(borders)][:-1]
    assert 3.0 <= min(lengths) < 3.4 and 5.6 < max(lengths) <= 6.0
    assert 4.3 < np.mean(lengths) < 4.7


@pytest.mark.parametrize(
    ("unit", "limits", "words"),
    [
        ("words", [0, 3], r"range is \[0\.0, 3\.0\] words, must be whole numbers from 1 on"),
        ("words", [1.5, 3], r"must be whole numbers"),
        ("s", [0.01, 3], r"range is \[0\.01, 3\.0\] s, must be at least 0\.08"),
        ("s", [6, 3], r"must be \[low, high\]"),
        ("minutes", [1, 2], r"unit is 'minutes': Input should be 'words' or 's'"),
    ],
)
def test_range_that_cannot_be_cut_is_refused(unit: str, limits: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        validate_section({"unit": unit, "range": limits}, Pieces, "pieces")
