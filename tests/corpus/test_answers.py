"""The code metric: the nearest known rendition of an answer."""

import numpy as np
import pytest

from moss_speech.corpus.answers import KnownAnswers, Nearest, spoken_answers
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


def said(spoken: list[list[int]]) -> list[str]:
    known = KnownAnswers(spoken_answers(DIALOGUES, CODES))
    return [nearest.answer for nearest in known.nearest(spoken)]


def test_nearest_answer_is_found_over_all_renditions() -> None:
    assert said([[1, 5, 5], [7, 7, 8, 8], [1, 2, 3]]) == ["green", "blue", "green"]


def test_questions_are_no_answers() -> None:
    assert said([[9, 9, 9]]) == ["green"]


def test_corpus_without_spoken_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 known renditions"):
        KnownAnswers(spoken_answers(DIALOGUES, {"q": CODES["q"]}))


def test_nearest_rendition_by_hand():
    known = KnownAnswers(
        [
            ("it is red", np.array([1, 2, 3, 4])),
            ("it is red", np.array([1, 2, 2, 3, 9])),
            ("it is blue", np.array([1, 2, 16383, 16383])),
        ]
    )
    spoken = [[1, 2, 3, 4], [1, 2, 3, 9], [1, 16383, 16383], []]
    assert known.nearest(spoken) == [
        Nearest("it is red", 0),
        Nearest("it is red", 1),
        Nearest("it is blue", 1),
        Nearest("it is red", 4),
    ]
