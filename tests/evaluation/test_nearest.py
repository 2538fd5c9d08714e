import numpy as np
import pytest

from moss_speech.evaluation.nearest import KnownAnswers, Nearest


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


def test_nearest_needs_renditions():
    with pytest.raises(ValueError, match="0 known renditions"):
        KnownAnswers([])
