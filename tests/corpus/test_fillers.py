"""Stray words in spoken questions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.corpus.packing.fillers import Fillers
from moss_speech.corpus.packing.material import Exchange, Spoken
from tests.corpus.spoken import spoken

ASKED = spoken("q", "what color is grass", 0)
SALAD = spoken("s", "grass table", 50)
TABLE = [53, 54]
"""Codes of the one word that no question holds."""
EXCHANGES = [
    Exchange("what color is grass", "green", (ASKED,), ()),
    *(Exchange(f"what color is x{n}", str(n), (), ()) for n in range(4)),
]


@given(seed=st.integers(0, 999))
def test_the_question_stays_whole_and_in_order_between_stray_words(seed: int) -> None:
    fillers = Fillers([SALAD], EXCHANGES)
    codes = fillers.insert(ASKED, np.random.default_rng(seed)).tolist()
    assert [c for c in codes if c < 50] == ASKED.codes.tolist()
    stray = [c for c in codes if c >= 50]
    assert stray == TABLE * (len(stray) // 2)
    assert 1 <= len(stray) // 2 <= 3
    starts = {0, 3, 5, 7, 10}
    at = codes.index(53)
    assert at in starts, "a stray word never cuts a word in two"


def test_words_that_decide_an_answer_never_stray() -> None:
    fillers = Fillers([ASKED, SALAD], EXCHANGES)
    heard = [fillers.insert(ASKED, np.random.default_rng(seed)) for seed in range(60)]
    added = {c for codes in heard for c in codes.tolist() if list(codes).count(c) > 1 or c >= 50}
    assert not added & {7, 8, 51, 52}, "grass is asked about"
    assert added == {1, 2, 3, 4, 5, 6, *TABLE}


def test_question_of_unknown_borders_stays_as_it_is() -> None:
    unaligned = Spoken("u", "what color is grass", np.arange(9), False, ())
    fillers = Fillers([SALAD], EXCHANGES)
    assert fillers.insert(unaligned, np.random.default_rng(0)) is unaligned.codes
    nothing = Fillers([], EXCHANGES)
    assert nothing.insert(ASKED, np.random.default_rng(0)) is ASKED.codes
