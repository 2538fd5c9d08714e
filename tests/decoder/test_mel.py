"""The mel spectrogram against a second implementation in plain numpy."""

import numpy as np
import pytest
import torch

from moss_speech.audio import SPEAKING
from moss_speech.decoder.mel import LOG_FLOOR, log_mel, mel_of_codes, mel_statistics


def slaney_hz_of_mel(mel):
    linear = mel * 200 / 3
    return np.where(mel < 15, linear, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))


def reference_mel(samples):
    n_fft, hop, rate = 1920, 480, 24000
    padded = np.pad(samples.astype(np.float64), 720, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    starts = range(0, len(padded) - n_fft + 1, hop)
    power = np.array([np.abs(np.fft.rfft(padded[s : s + n_fft] * window)) ** 2 for s in starts])
    top_mel = 15 + np.log(8000 / 1000) / (np.log(6.4) / 27)
    edges = slaney_hz_of_mel(np.linspace(0, top_mel, 82))
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    filters = [
        np.clip(np.minimum((bins - a) / (b - a), (c - bins) / (c - b)), 0, None) * 2 / (c - a)
        for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    return np.log(np.maximum(np.sqrt(power + 1e-9) @ np.array(filters).T, 1e-5))


@pytest.mark.parametrize("n_samples", [1920, 4801, 24000])
def test_mel_equals_a_plain_numpy_implementation(n_samples):
    samples = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    ours = log_mel(torch.from_numpy(samples)[None], SPEAKING)[0].T.numpy()
    wanted = reference_mel(samples)
    assert ours.shape == wanted.shape == (n_samples // 480, 80)
    assert np.abs(ours - wanted).max() < 1e-3  # measured 3e-5; a shift by one frame gives > 1


def test_digital_silence_has_a_finite_mel_at_the_power_floor():
    mel = log_mel(torch.zeros(1, 2400), SPEAKING)
    assert torch.isfinite(mel).all()
    assert mel.min() >= LOG_FLOOR


def test_audio_shorter_than_a_window_is_refused_with_its_length():
    with pytest.raises(ValueError, match="720 samples, must be at least 721"):
        log_mel(torch.zeros(1, 720), SPEAKING)


@pytest.mark.parametrize("n_samples", [100, 5760, 7000])
def test_mel_of_codes_has_four_frames_a_code_for_any_length(n_samples):
    samples = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    assert mel_of_codes(samples, 3, SPEAKING).shape == (12, 80)


def test_speaker_vector_ignores_loudness_but_not_the_voice():
    mel = torch.randn(50, 80).cumsum(1) / 10
    assert torch.allclose(mel_statistics(mel), mel_statistics(mel + 2.0), atol=1e-5)
    other = mel_statistics(torch.randn(50, 80).cumsum(1) / 10)
    assert not torch.allclose(mel_statistics(mel), other, atol=1e-2)
