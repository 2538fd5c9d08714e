"""Whisper checkpoints as transformers writes them: every size, whole and in shards."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import WhisperConfig, WhisperForConditionalGeneration, WhisperModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from moss_speech.codec.config import PUBLISHED_CODEC
from moss_speech.codec.whisper import read_whisper_encoder, start_from_whisper, whisper_config

SIZES = {  # width, layers, heads, mel bands
    "tiny": (384, 4, 6, 80),
    "base": (512, 6, 8, 80),
    "small": (768, 12, 12, 80),
    "medium": (1024, 24, 16, 80),
    "large-v2": (1280, 32, 20, 80),
    "large-v3": (1280, 32, 20, 128),
}


def theirs(width: int, layers: int, heads: int, n_mels: int) -> WhisperConfig:
    return WhisperConfig(
        d_model=width,
        encoder_layers=layers,
        decoder_layers=1,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=64,
        num_mel_bins=n_mels,
        vocab_size=100,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )


@pytest.mark.parametrize("kind", [WhisperModel, WhisperForConditionalGeneration])
@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("shard_size", ["5GB", "200KB"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_saved_whisper_is_read_as_it_was(tmp_path, kind, n_mels, shard_size, dtype):
    torch.manual_seed(0)
    model = kind(theirs(64, 2, 1, n_mels)).to(dtype)
    model.save_pretrained(tmp_path, max_shard_size=shard_size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard_size == "200KB")
    weights = read_whisper_encoder(tmp_path)
    config = whisper_config(weights, layers=2, codes=8, lookahead_frames=0)
    assert (config.d_model, config.num_mel_bins, config.encoder_ffn_dim) == (64, n_mels, 256)
    found = start_from_whisper(config, weights).state_dict()
    wanted = model.get_encoder().state_dict()
    for name, weight in wanted.items():
        if not name.startswith("layer_norm."):
            assert torch.equal(found[name], weight.float()), name


@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_whisper_gives_a_codec_of_its_shape(size):
    width, layers, heads, n_mels = SIZES[size]
    with torch.device("meta"):
        weights = dict(WhisperEncoder(theirs(width, layers, heads, n_mels)).state_dict())
        config = whisper_config(weights, layers=layers // 2, codes=16384, lookahead_frames=0)
        encoder = start_from_whisper(config, weights)
    assert config.encoder_attention_heads == heads
    assert len(encoder.layers) == layers // 2
    if size == "large-v3":
        assert config == PUBLISHED_CODEC


def test_weights_of_another_precision_beside_the_model_are_left_out(tmp_path: Path):
    WhisperModel(theirs(64, 2, 1, 80)).save_pretrained(tmp_path)
    other = {k: torch.zeros_like(v) for k, v in load_file(tmp_path / "model.safetensors").items()}
    save_file(other, tmp_path / "model.fp32-00001-of-00001.safetensors")
    assert read_whisper_encoder(tmp_path)["conv1.weight"].abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("encoder.conv1.weight"), r"lack the encoder tensor conv1\.weight"),
        (lambda t: t.pop("encoder.layers.0.fc2.bias"), r"lack the encoder tensor layers\.0\.fc2"),
        (
            lambda t: t.update({"encoder.conv2.bias": torch.zeros(65)}),
            r"conv2\.bias has shape \(65,\), must be \(64,\)",
        ),
        (
            lambda t: t.update({"encoder.conv1.weight": torch.zeros(65, 80, 3)}),
            "is 65 wide, must be a multiple of 64",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path, change, message):
    WhisperModel(theirs(64, 2, 1, 80)).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        weights = read_whisper_encoder(tmp_path)
        start_from_whisper(whisper_config(weights, 2, 8, 0), weights)


def test_damaged_shard_is_refused_by_name(tmp_path: Path):
    WhisperModel(theirs(64, 2, 1, 80)).save_pretrained(tmp_path, max_shard_size="200KB")
    shard = sorted(tmp_path.glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{shard.name} is not readable as safetensors"):
        read_whisper_encoder(tmp_path)
