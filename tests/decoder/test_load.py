"""Decoder folders: what is written is what comes back; damage is named."""

import numpy as np
import pytest

from moss_speech.decoder.load import load_speech_decoder, save_network
from moss_speech.storage import read_json, write_json
from tests.decoder.networks import N_CODES, speech_decoder, voice

CODES = np.arange(N_CODES)


@pytest.fixture
def folders(tmp_path):
    decoder = speech_decoder()
    for name, network in (("decoder", decoder.flow), ("vocoder", decoder.vocoder)):
        (tmp_path / name).mkdir()
        save_network(network, tmp_path / name)
    return decoder, tmp_path / "decoder", tmp_path / "vocoder"


def test_a_saved_decoder_speaks_the_same_samples(folders):
    before, *paths = folders
    after = load_speech_decoder(*paths)
    assert np.array_equal(before.decode(CODES, voice(before)), after.decode(CODES, voice(after)))


def test_saving_twice_gives_equal_bytes(folders, tmp_path):
    decoder, path, _ = folders
    (tmp_path / "again").mkdir()
    save_network(decoder.flow, tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_truncated_weights_are_refused_by_name(folders):
    _, path, vocoder = folders
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"decoder/model\.safetensors"):
        load_speech_decoder(path, vocoder)


def test_weights_of_another_size_are_refused_with_both_shapes(folders):
    _, path, vocoder = folders
    config = read_json(path / "config.json")
    write_json(path / "config.json", config | {"ffn_width": 28})
    with pytest.raises(ValueError, match=r"has shape \(24,\), must be \(28,\)"):
        load_speech_decoder(path, vocoder)


def test_an_unknown_key_of_the_config_is_refused(folders):
    _, path, vocoder = folders
    config = read_json(vocoder / "config.json")
    write_json(vocoder / "config.json", config | {"n_blokcs": 3})
    with pytest.raises(ValueError, match="n_blokcs"):
        load_speech_decoder(path, vocoder)
