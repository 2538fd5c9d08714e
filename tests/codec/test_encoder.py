import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.codec.config import PUBLISHED_CODEC
from moss_speech.codec.encoder import Encoder
from tests.codec.small import RATE_HZ, noise, small_codec, small_config, small_encoder

SAMPLES_PER_CODE = 1280


@pytest.mark.parametrize(
    ("seconds", "codes"), [(1.0, 13), (0.01, 1), (27.43, 343), (30.0, 375), (36.21, 453)]
)
def test_every_begun_code_counts_and_segments_start_anew(seconds, codes):
    (found,) = small_codec().encode([noise(round(seconds * RATE_HZ))])
    assert found.shape == (codes,)
    assert found.dtype == np.int64


def test_second_segment_hears_nothing_of_the_first():
    codec = small_codec()
    tail = noise(20_000, seed=1)
    whole, alone = codec.encode([np.concatenate([noise(480_000), tail]), tail])
    assert np.array_equal(whole[375:], alone)


@settings(max_examples=15)
@given(lookahead=st.sampled_from([0, 1, 4]), code=st.integers(1, 15), seed=st.integers(0, 99))
def test_future_beyond_the_lookahead_changes_no_code(lookahead, code, seed):
    """Checked on features, where the codec's look-ahead is declared (the STFT adds 12.5 ms)."""
    encoder = small_encoder(lookahead_frames=lookahead)
    torch.manual_seed(seed)
    mel_BMF = torch.randn(1, 80, 160)
    codes_B = torch.tensor([20])
    changed = mel_BMF.clone()
    seen_frames = (code + 1) * 4 + lookahead * encoder.config.quantize_position
    changed[..., seen_frames * 2 :] += 1.0
    before, after = encoder(mel_BMF, codes_B), encoder(changed, codes_B)
    assert torch.equal(before[:, : code + 1], after[:, : code + 1])


def test_lookahead_is_used_to_its_end():
    encoder = small_encoder(lookahead_frames=2)
    torch.manual_seed(0)
    mel_BMF = torch.randn(1, 80, 160)
    changed = mel_BMF.clone()
    last_seen = 4 + 2 * encoder.config.quantize_position - 1
    changed[..., last_seen * 2 : last_seen * 2 + 2] += 1.0
    codes_B = torch.tensor([20])
    assert not torch.allclose(encoder(mel_BMF, codes_B)[:, 0], encoder(changed, codes_B)[:, 0])


@pytest.mark.parametrize("lookahead", [0, 4])
def test_codes_of_an_utterance_do_not_depend_on_its_batch(lookahead):
    codec = small_codec(lookahead_frames=lookahead)
    audio = [noise(n, seed=n) for n in (1280, 7000, 20_000, 33_333)]
    together = codec.encode(audio)
    assert codec.encode([]) == []
    for one, codes in zip(audio, together, strict=True):
        assert np.array_equal(codec.encode([one])[0], codes)


@pytest.mark.parametrize("bad", [np.zeros(0, np.float32), np.full(99, np.nan, np.float32)])
def test_empty_and_nan_audio_is_refused_by_position(bad):
    with pytest.raises(ValueError, match="audio 1"):
        small_codec().encode([noise(2000), bad])


def test_no_audio_has_no_codes():
    assert small_codec().encode([]) == []


def test_published_size_has_the_published_tensors():
    with torch.device("meta"):
        encoder = Encoder(PUBLISHED_CODEC)
    shapes = {name: tuple(w.shape) for name, w in encoder.state_dict().items()}
    assert len(shapes) == 7 + 16 * 15
    assert shapes["conv1.weight"] == (1280, 128, 3)
    assert shapes["conv2.weight"] == (1280, 1280, 3)
    assert shapes["embed_positions.weight"] == (1500, 1280)
    assert shapes["embed_positions2.weight"] == (375, 1280)
    assert shapes["codebook.weight"] == (16384, 1280)
    assert shapes["layers.15.self_attn.k_proj.weight"] == (1280, 1280)
    assert "layers.0.self_attn.k_proj.bias" not in shapes
    assert shapes["layers.0.fc1.weight"] == (5120, 1280)
    assert round(sum(w.numel() for w in encoder.parameters()) / 1e6, 1) == 343.6


def test_config_that_cannot_work_names_key_and_value():
    with pytest.raises(ValueError, match=r"d_model is 30.*multiple of the 4"):
        small_config(d_model=30)
    with pytest.raises(ValueError, match=r"lookahead_frames is -1, must be 0"):
        small_config(lookahead_frames=-1)


def test_long_file_is_encoded_piece_by_piece_to_the_same_codes(tmp_path):
    codec = small_codec(max_source_positions=100)  # segments of 2 s, 64 s at a time
    samples_S = noise(RATE_HZ * 150 + 77)
    soundfile.write(tmp_path / "long.wav", samples_S, RATE_HZ, subtype="FLOAT")
    assert np.array_equal(codec.encode_file(tmp_path / "long.wav"), codec.encode([samples_S])[0])
