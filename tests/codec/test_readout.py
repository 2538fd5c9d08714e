import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.codec.readout import BLANK, ENGLISH, Alphabet, CtcReadout


@given(st.text(ENGLISH, min_size=1))
def test_spelling_survives_with_a_blank_between_all_characters(text):
    alphabet = Alphabet(ENGLISH)
    path = [i for label in alphabet.encode(text) for i in (label, label, BLANK)]
    assert alphabet.decode(path) == " ".join(text.split())


def test_foreign_characters_are_refused_by_name():
    with pytest.raises(ValueError, match="é"):
        Alphabet(ENGLISH).encode("café")


def test_read_out_of_an_item_does_not_depend_on_padding():
    torch.manual_seed(0)
    readout = CtcReadout(12, 16, Alphabet(ENGLISH)).eval()
    x_BND = torch.randn(2, 9, 12)
    alone = readout(x_BND[:1, :5], torch.tensor([5]))
    padded = readout(x_BND, torch.tensor([5, 9]))[:1, :20]
    assert torch.allclose(alone, padded, atol=1e-5)
