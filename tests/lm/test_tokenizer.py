"""Text to ids and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.lm.tokenizer import train_tokenizer
from tests.lm.small import TEXTS, small_tokenizer

TOKENIZER = small_tokenizer()


@given(st.text().filter(lambda text: not text.startswith(" ")))
def test_any_text_comes_back_whole(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_text_that_looks_like_a_special_token_is_plain_text() -> None:
    ids = TOKENIZER.special_ids(20)
    encoded = TOKENIZER.encode("say <|im_end|> now")
    assert not {ids.im_end, ids.im_start, ids.pad, ids.sosp} & set(encoded)


def test_word_has_the_same_ids_first_and_inside() -> None:
    assert TOKENIZER.encode("what color is")[1:] == TOKENIZER.encode("color is")


def test_same_texts_in_any_order_give_the_same_ids() -> None:
    other = train_tokenizer(reversed(TEXTS), 400)
    assert [other.encode(t) for t in TEXTS] == [TOKENIZER.encode(t) for t in TEXTS]


def test_vocabulary_without_room_for_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="n_vocab is 100, must be at least 261"):
        train_tokenizer(TEXTS, 100)
