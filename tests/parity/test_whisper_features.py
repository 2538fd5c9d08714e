"""Our features and encoder against those of transformers, on the same audio and weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from moss_speech.audio import Samples
from moss_speech.codec.config import CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.features import log_mel
from moss_speech.codec.load import load_codec, save_codec
from moss_speech.codec.whisper import read_whisper_encoder, start_from_whisper, whisper_config
from tests.codec.small import noise, small_config


def speechlike(n_samples: int) -> Samples:
    """A gliding tone whose loudness swings, over noise: many decades of dynamic range."""
    time_s = np.arange(n_samples) / 16000
    tone = np.sin(2 * np.pi * (200 + 300 * time_s) * time_s) * (1 + np.sin(7 * time_s)) / 4
    return (tone + 1e-3 * noise(n_samples)).astype(np.float32)


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("n_samples", [700, 12_800, 40_001, 480_000])
def test_features_equal_whisper_feature_extractor(n_mels, n_samples):
    """No difference seen; filters computed in single precision would differ by 3e-4."""
    form = small_config(num_mel_bins=n_mels).audio_format
    samples_S = speechlike(n_samples)
    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    theirs = extractor(
        samples_S,
        sampling_rate=16000,
        padding="longest",
        pad_to_multiple_of=form.samples_per_code,
        return_tensors="pt",
    ).input_features[0]
    ours = log_mel(samples_S, form)
    assert ours.shape == theirs.shape
    worst = float((ours - theirs).abs().max())
    print(f"features, {n_mels} mels, {n_samples} samples: largest difference {worst:.2e}")
    assert worst <= 1e-6


def whisper_encoder(config: CodecConfig) -> WhisperEncoder:
    torch.manual_seed(0)
    theirs = WhisperEncoder(
        WhisperConfig(
            d_model=config.d_model,
            encoder_layers=config.quantize_position,
            encoder_attention_heads=config.encoder_attention_heads,
            encoder_ffn_dim=config.encoder_ffn_dim,
            num_mel_bins=config.num_mel_bins,
            max_source_positions=config.max_source_positions,
        )
    ).eval()
    for weight in theirs.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    theirs.layer_norm = torch.nn.Identity()  # type: ignore[assignment]  # the codec has none
    return theirs


def ours_with_the_weights_of(theirs: WhisperEncoder, config: CodecConfig) -> Encoder:
    return start_from_whisper(config, dict(theirs.state_dict())).eval()


@pytest.mark.parametrize("whole_by", ["attention", "lookahead"])
def test_encoder_that_sees_all_equals_transformers_whisper(whole_by):
    """Largest difference seen 1e-6."""
    whole = {
        "attention": {"encoder_causal_attention": False},
        "lookahead": {"lookahead_frames": 1500},
    }
    config = small_config(encoder_causal_convolution=False, **whole[whole_by])
    theirs = whisper_encoder(config)
    torch.manual_seed(1)
    mel_BMF = torch.randn(1, 80, 3000)
    with torch.no_grad():
        wanted = theirs(mel_BMF).last_hidden_state
        found = ours_with_the_weights_of(theirs, config).hidden(mel_BMF, torch.tensor([375]))
    worst = float((found - wanted).abs().max())
    print(f"encoder, whole by {whole_by}: largest difference {worst:.2e}")
    assert worst <= 2e-5


def test_transformers_checkpoint_is_read_and_kept_by_our_files(tmp_path):
    wide = small_config(d_model=64, encoder_attention_heads=1)  # heads of 64, as in every Whisper
    theirs = whisper_encoder(wide)
    prefixed = {f"model.encoder.{k}": v for k, v in theirs.state_dict().items()}
    save_file(prefixed, tmp_path / "model.safetensors")
    weights = read_whisper_encoder(tmp_path)
    config = whisper_config(weights, layers=2, codes=64, lookahead_frames=0)
    assert config == wide
    encoder = start_from_whisper(config, weights)
    out = tmp_path / "codec"
    out.mkdir()
    save_codec(out, encoder, None)
    again = load_codec(out).encoder.state_dict()
    assert torch.equal(again["layers.1.fc2.weight"], theirs.state_dict()["layers.1.fc2.weight"])


def test_deeper_start_than_there_is_is_refused():
    weights = dict(whisper_encoder(small_config()).state_dict())
    with pytest.raises(ValueError, match=r"layers is 3, must be 1\.\.2"):
        whisper_config(weights, layers=3, codes=64, lookahead_frames=0)
