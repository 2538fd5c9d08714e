"""Cutting long texts and recordings: nothing is lost, nothing is too long."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.audio import LISTENING
from moss_speech.inference.questions import LIMITS
from moss_speech.inference.turns import QuestionError
from services.pieces import rows_of, speech_pieces, text_pieces
from tests.tiny_bundle import spoken

RATE_HZ = LISTENING.sample_rate_hz
TEXTS = st.text(st.sampled_from("ab c.!?,;\n草是绿色的。，"), min_size=1, max_size=300)


@given(text=TEXTS, max_rows=st.integers(3, 120))
def test_no_letter_is_lost_and_no_piece_is_too_long(text: str, max_rows: int) -> None:
    letters = re.sub(r"\W", "", text)
    if not letters:
        with pytest.raises(QuestionError, match="no word"):
            text_pieces(text, max_rows)
        return
    pieces = text_pieces(text, max_rows)
    assert re.sub(r"\W", "", "".join(pieces)) == letters
    assert all(rows_of(piece) <= max_rows for piece in pieces)


def test_text_that_fits_stays_whole() -> None:
    text = "The grass is green. The sky is blue."
    assert text_pieces(text, 125) == [text]


def test_long_text_is_cut_at_sentence_ends_then_clauses_then_words() -> None:
    assert text_pieces("One is 1.5. Two is two! Is three three?", 26) == [
        "One is 1.5. Two is two!",
        "Is three three?",
    ]
    assert text_pieces("first comes one, then comes two", 20) == [
        "first comes one,",
        "then comes two",
    ]
    assert text_pieces("one two three four", 8) == ["one two", "three", "four"]
    assert text_pieces("草是绿色的。天是蓝色的。", 20) == ["草是绿色的。", "天是蓝色的。"]


def test_short_recording_is_heard_as_it_is() -> None:
    (piece,) = speech_pieces(spoken(), LIMITS)
    assert piece is spoken()


def test_long_recording_is_cut_at_its_pauses() -> None:
    said = [spoken(text) for text in ("what color is the grass", "what is the opposite of big")]
    pause = np.zeros(2 * RATE_HZ, np.float32)
    whole = np.concatenate([part for _ in range(6) for voice in said for part in (voice, pause)])
    assert whole.size > LIMITS.max_s * RATE_HZ
    pieces = speech_pieces(whole, LIMITS)
    assert len(pieces) > 1
    assert all(piece.size <= LIMITS.max_s * RATE_HZ for piece in pieces)
    loud = [np.square(piece).sum() for piece in (whole, *pieces)]
    assert sum(loud[1:]) == pytest.approx(loud[0], rel=0.01)  # no speech is lost or said twice
    assert all(np.abs(piece[-100:]).max() < 0.02 for piece in pieces)


def test_speech_without_a_pause_is_cut_all_the_same() -> None:
    word = spoken()
    quick = word[np.flatnonzero(np.abs(word) > 0.01)[0] : np.flatnonzero(np.abs(word) > 0.01)[-1]]
    whole = np.concatenate([quick] * round(70 * RATE_HZ / quick.size))
    pieces = speech_pieces(whole, LIMITS)
    assert len(pieces) >= 3
    assert all(piece.size <= LIMITS.max_s * RATE_HZ for piece in pieces)


def test_long_silence_is_no_speech() -> None:
    with pytest.raises(QuestionError) as refused:
        speech_pieces(np.zeros(40 * RATE_HZ, np.float32), LIMITS)
    assert refused.value.code == "no_speech"
