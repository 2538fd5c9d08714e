import pytest
import torch
from safetensors.torch import load_file, save_file

from moss_speech.codec.config import PUBLISHED_CODEC, CodecConfig
from moss_speech.codec.load import load_codec, save_codec
from tests.codec.small import noise, small_codec


@pytest.fixture
def folder(tmp_path):
    codec = small_codec(lookahead_frames=16)
    save_codec(tmp_path, codec.encoder, codec.readout)
    return tmp_path


def rewrite(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_saved_codec_gives_equal_codes_and_spelling(folder):
    codec = small_codec(lookahead_frames=16)
    loaded = load_codec(folder)
    assert loaded.config == codec.config
    (ours,), (theirs,) = loaded.encode([noise(9000)]), codec.encode([noise(9000)])
    assert ours.tolist() == theirs.tolist()
    assert torch.equal(loaded.log_probs(ours), codec.log_probs(ours))


def test_saving_twice_gives_equal_bytes(folder, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    codec = load_codec(folder)
    save_codec(again, codec.encoder, codec.readout)
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_training_state_and_decoder_of_the_published_file_are_ignored(folder):
    rewrite(
        folder,
        lambda t: t.update(
            {"encoder.ema_count": torch.ones(64), "decoder.conv.weight": torch.ones(2)}
        ),
    )
    assert load_codec(folder).config.n_codes == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("encoder.conv1.bias"), "lacks 1 tensors.*conv1.bias"),
        (lambda t: t.update({"encoder.layers.2.fc1.bias": torch.ones(64)}), "layers.2.fc1.bias"),
        (lambda t: t.update({"encoder.codebook.weight": torch.ones(65, 32)}), r"\(65, 32\).*\(64"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=message):
        load_codec(folder)


def test_truncated_weights_and_missing_files_are_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model\.safetensors is not readable"):
        load_codec(folder)
    path.unlink()
    with pytest.raises(ValueError, match=r"has no model\.safetensors"):
        load_codec(folder)


def test_published_config_without_our_key_is_strictly_causal():
    values = PUBLISHED_CODEC.to_json()
    del values["lookahead_frames"]
    values |= {"encoder_layers": 32, "quantize_causal_block_size": 200, "vocab_size": 51866}
    assert CodecConfig.from_json(values) == PUBLISHED_CODEC


def test_config_of_another_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling_type is 'max'"):
        CodecConfig.from_json(PUBLISHED_CODEC.to_json() | {"pooling_type": "max"})
