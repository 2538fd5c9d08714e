"""Personal data is found as it was typed and as `normalise` spells it out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.speech.personal import find_personal, is_account, is_card
from moss_speech.speech.spoken_numbers import with_digits
from moss_speech.speech.text import normalise, number_words

TYPED = [
    ("write to jane.doe@example.com please", "e-mail address"),
    ("my mail is jane@uni-bonn.de", "e-mail address"),
    ("call me at +49 170 1234567 tomorrow", "phone number"),
    ("my number is 0170 1234567", "phone number"),
    ("call (212) 555-0123 now", "phone number"),
    ("it is 2125550123", "phone number"),
    ("dial 555-1234", "phone number"),
    ("pay to DE89 3704 0044 0532 0130 00 today", "bank account"),
    ("iban GB29 NWBK 6016 1331 9268 19", "bank account"),
    ("card 4111 1111 1111 1111", "payment card"),
    ("card 378282246310005", "payment card"),
    ("my server is 192.168.17.4", "IP address"),
    ("It is 192.168.17.4.", "IP address"),
    ("it is 078-05-1120", "social security number"),
    ("my passport is X1234567", "number of a document"),
    ("i live at 12 baker street", "street address"),
    ("ich wohne in der hauptstraße 5", "street address"),
]
SPOKEN = [
    ("jane at example dot com", "e-mail address"),
    ("five five five oh one two three four", "phone number"),
    ("zero one seven zero one two three four five six seven", "phone number"),
]
HARMLESS = [
    "",
    "what color is grass",
    "count one two three four five six seven eight nine ten",
    "in 2024 the city had 1234567 people",
    "it happened on 2024-01-15 at noon",
    "pi is 3.14159265",
    "look at the lake",
    "two dogs walked down the street",
    "the number is one million two hundred thousand",
    "DE89 3704 0044 0532 0130 01 is not an account",
    "你好吗",
]


@pytest.mark.parametrize(("text", "kind"), TYPED)
def test_typed_personal_data_is_found(text, kind):
    assert find_personal(text) == kind


@pytest.mark.parametrize(("text", "kind"), TYPED)
def test_what_normalise_spells_out_is_found_too(text, kind):
    lost = {"192.168.17.4", "078-05-1120"}  # without dots and dashes these look like any number
    if not any(word in text for word in lost):
        assert find_personal(normalise(text)) is not None


@pytest.mark.parametrize(("text", "kind"), SPOKEN)
def test_spoken_personal_data_is_found(text, kind):
    assert find_personal(text) == kind


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts_are_let_through(text):
    assert find_personal(text) is None


@given(st.integers(0, 10**12 - 1))
def test_number_words_come_back_as_digits(number):
    assert with_digits(number_words(number)) == str(number)


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18), st.integers(2, 6))
def test_a_card_has_one_right_check_digit(digits, first):
    body = "".join(map(str, [first, *digits]))[:18]
    assert sum(is_card(f"{body}{check}") for check in range(10)) == 1


@given(st.integers(0, 10**18 - 1))
def test_an_account_has_one_right_pair_of_check_digits(number):
    right = [n for n in range(2, 99) if is_account(f"de{n:02d}{number:018d}")]
    assert len(right) == 1


@given(st.text())
def test_any_text_gets_an_answer(text):
    find_personal(text)
