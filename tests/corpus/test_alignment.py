from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.codec.model import Codec
from moss_speech.codec.readout import ENGLISH, FRAMES_PER_CODE, Alphabet
from moss_speech.corpus.alignment import (
    AlignmentError,
    WordSpan,
    align_words,
    open_borders,
    write_borders,
)
from tests.codec.small import small_codec

ALPHABET = Alphabet(ENGLISH)
WORDS = st.lists(st.sampled_from(["a", "dog", "green", "spider", "seven"]), min_size=1, max_size=6)


class Spelling(Codec):
    """A codec whose read-out is sure of a given path of characters."""

    def __init__(self, path: list[int]) -> None:
        codec = small_codec()
        super().__init__(codec.encoder, codec.readout, codec.digest)
        logits_UA = torch.full((len(path), len(ALPHABET)), -9.0)
        logits_UA[torch.arange(len(path)), torch.tensor(path)] = 9.0
        object.__setattr__(self, "said", logits_UA.log_softmax(-1))

    def log_probs(self, codes_N):
        return self.said


def spell(words: list[str], pause_codes: int) -> list[int]:
    """Every character and the blank after it one frame, words apart by whole codes of blanks."""
    path: list[int] = []
    for word in words:
        path += [0] * FRAMES_PER_CODE * pause_codes
        path += [label for c in ALPHABET.encode(word) for label in (c, 0)]
        path += ALPHABET.encode(" ")
    path = path[:-1]
    return path + [0] * (-len(path) % FRAMES_PER_CODE)


@settings(max_examples=30)
@given(words=WORDS, pause_codes=st.integers(1, 4))
def test_words_are_found_in_order_and_without_gaps(words, pause_codes):
    path = spell(words, pause_codes)
    codec, n_codes = Spelling(path), len(path) // FRAMES_PER_CODE
    spans = align_words(codec, np.zeros(n_codes, np.int64), " ".join(words), min_score=-1.0)
    assert [s.word for s in spans] == words
    assert all(s.start_code < s.end_code for s in spans)
    assert all(a.end_code == b.start_code for a, b in pairwise(spans))
    assert spans[0].start_code >= 0
    assert spans[-1].end_code <= n_codes


def test_border_lies_in_the_pause_between_two_words():
    path = spell(["dog", "green"], pause_codes=4)  # dog: codes 4 and 5; green: from code 9
    spans = align_words(Spelling(path), np.zeros(len(path) // 4, np.int64), "dog green", -1.0)
    assert spans[0].start_code == 4
    assert 6 <= spans[0].end_code <= 10


@pytest.mark.parametrize(
    ("text", "reason"), [("cat", "score"), ("a " * 60, "too short"), ("7 dogs", "alphabet")]
)
def test_text_that_was_not_said_is_left_out_with_its_reason(text, reason):
    path = spell(["dog", "green"], pause_codes=1)
    with pytest.raises(AlignmentError, match=reason):
        align_words(Spelling(path), np.zeros(len(path) // 4, np.int64), text, min_score=-1.0)


def test_borders_survive_their_file(tmp_path):
    borders = {"u1": [WordSpan("a", 0, 2), WordSpan("dog", 2, 5)], "u2": [WordSpan("cat", 1, 3)]}
    write_borders(tmp_path, borders)
    assert open_borders(tmp_path) == borders
