import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.speech.text import normalise, number_words


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("The number is 7.", "the number is seven"),
        ("It's 2+3 = 5, don't you know?", "it's two plus three equals five don't you know"),
        ("1,205 Colours; 21st", "one thousand two hundred five colors twenty one"),
        ("007", "zero zero seven"),
        ("50% & £3", "fifty percent and pounds three"),
        ("  ...  ", ""),
        ("‘Quoted’ grey—sky", "quoted gray sky"),
        ("中国 ok", "中国 ok"),
    ],
)
def test_writing_becomes_words(written, words):
    assert normalise(written) == words


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text):
    once = normalise(text)
    assert normalise(once) == once
    assert once == " ".join(once.split())


@given(st.integers(0, 10**12 - 1))
def test_numbers_in_words_hold_no_digit(number):
    assert normalise(f"{number:,}") == number_words(number)


@pytest.mark.parametrize("number", [-1, 10**12])
def test_number_out_of_range_is_refused(number):
    with pytest.raises(ValueError, match="must be 0"):
        number_words(number)
