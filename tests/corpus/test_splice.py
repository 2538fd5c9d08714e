"""Answers whose beginning comes from another rendition."""

import numpy as np

from moss_speech.corpus.packing.material import Spoken
from moss_speech.corpus.packing.splice import Splicer, most_typical
from tests.corpus.spoken import spoken

ANSWERS = [
    spoken("a", "it is green", 0),
    spoken("b", "it is green", 10),
    spoken("c", "it is blue", 20),
    spoken("d", "that is a dog", 30),
]


def test_last_word_is_kept_and_the_shared_opening_varies() -> None:
    splicer, random = Splicer(ANSWERS, 9), np.random.default_rng(0)
    drawn = {tuple(splicer.splice(ANSWERS[0], random).tolist()) for _ in range(50)}
    own_end = (5, 6, 7)
    assert drawn == {(*range(first, first + 5), *own_end) for first in (0, 10, 20)}


def test_answer_without_shared_opening_stays_as_it_is() -> None:
    random = np.random.default_rng(0)
    assert (Splicer(ANSWERS, 9).splice(ANSWERS[3], random) == ANSWERS[3].codes).all()
    unaligned = Spoken("e", "it is red", np.arange(8), True, ())
    assert (Splicer(ANSWERS, 9).splice(unaligned, random) == unaligned.codes).all()


def test_most_typical_renditions_come_first() -> None:
    renditions = [np.array(c) for c in ([9, 9, 9, 9], [1, 2, 3], [1, 2, 3, 4], [1, 2, 4])]
    assert most_typical(renditions, 1) == [1]
    assert 0 not in most_typical(renditions, 3)


def test_one_opening_for_all_when_only_the_most_typical_is_kept() -> None:
    splicer, random = Splicer(ANSWERS, 1), np.random.default_rng(0)
    openings = {tuple(splicer.splice(a, random)[:5].tolist()) for a in ANSWERS[:3] * 9}
    assert len(openings) == 1
