"""What a tokenizer's training may begin with."""

import pytest
import torch

from moss_speech.codec.load import save_codec
from moss_speech.codec.start import start_encoder
from tests.codec.small import small_codec


def test_a_codec_folder_is_gone_on_from(tmp_path):
    codec = small_codec()
    save_codec(tmp_path, codec.encoder, codec.readout)
    start = start_encoder(tmp_path, 2, 64, 0)
    assert start.has_codes
    ours, theirs = start.encoder.state_dict(), codec.encoder.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert start.encoder.conv1.weight.requires_grad
    assert not start.encoder.codebook.weight.requires_grad


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ((1, 64, 0), "layers is 1, must be 2"),
        ((2, 32, 0), "codes is 32, must be 64"),
        ((2, 64, 3), "lookahead_frames is 3, must be 0"),
    ],
)
def test_numbers_of_another_codec_are_refused(tmp_path, wanted, message):
    codec = small_codec()
    save_codec(tmp_path, codec.encoder, None)
    with pytest.raises(ValueError, match=message):
        start_encoder(tmp_path, *wanted)
