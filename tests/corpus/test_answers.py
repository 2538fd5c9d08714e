"""The code metric: the nearest known rendition of an answer."""

import numpy as np
import pytest

from moss_speech.corpus.answers import KnownAnswers
from moss_speech.corpus.items import Dialogue, Turn

DIALOGUES = [
    Dialogue("a", "train", (Turn("user", "q", ("q",)), Turn("assistant", "green", ("g1", "g2")))),
    Dialogue("b", "test", (Turn("user", "p", ("p",)), Turn("assistant", "blue", ("b1", "gone")))),
]
CODES = {
    name: np.array(codes, np.int64)
    for name, codes in {
        "q": [9, 9, 9],
        "g1": [1, 2, 3],
        "g2": [1, 5, 5, 3],
        "b1": [7, 2, 8, 8],
    }.items()
}


def test_nearest_answer_is_found_over_all_renditions() -> None:
    known = KnownAnswers(DIALOGUES, CODES)
    assert known.nearest([[1, 5, 5], [7, 7, 8, 8], [1, 2, 3]]) == ["green", "blue", "green"]


def test_questions_are_no_answers() -> None:
    assert KnownAnswers(DIALOGUES, CODES).nearest([[9, 9, 9]]) == ["green"]


def test_corpus_without_spoken_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 spoken answers"):
        KnownAnswers(DIALOGUES, {"q": CODES["q"]})
