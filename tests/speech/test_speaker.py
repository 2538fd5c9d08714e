"""Speaker encoders: their front ends against plain ones, their vectors on several voices."""

import numpy as np
import pytest
import torch

from moss_speech.audio import LISTENING, SPEAKING, resample
from moss_speech.speech.campplus import CamPlus, filter_banks
from moss_speech.speech.ge2e import ge2e, power_mel
from moss_speech.speech.speaker import similarity
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import EspeakNG, Flite
from tests.speech.onnx_graph import write_graph

TEXTS = ("the quick brown fox jumps over the lazy dog", "she bought oranges and a loaf of bread")
RATE_HZ = LISTENING.sample_rate_hz


@pytest.fixture(scope="module")
def voices() -> dict[str, list[np.ndarray]]:
    """Two sentences of each of four voices at 24 kHz."""
    engines = {"rms": Flite(), "slt": Flite(), "awb": Flite(), "en-us+f5": EspeakNG()}
    return {n: [e.say(text, n, Manner()) for text in TEXTS] for n, e in engines.items()}


def noise(n_samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)


def slaney_filters(n_mels: int, n_fft: int, rate_hz: int) -> np.ndarray:
    """Triangles of equal area on Slaney's scale, band by band, [M, F]."""

    def to_hz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * np.exp(np.log(6.4) / 27 * (mel - 15))

    top = 15 + np.log(rate_hz / 2 / 1000) / (np.log(6.4) / 27)
    edges = [to_hz(mel) for mel in np.linspace(0, top, n_mels + 2)]
    bins = np.arange(n_fft // 2 + 1) * rate_hz / n_fft
    rows = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        triangle = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
        rows.append(np.maximum(0, triangle) * 2 / (high - low))
    return np.array(rows)


def test_power_mel_equals_a_plain_one_frame_by_frame():
    samples = noise(4000)
    padded = np.pad(samples.astype(np.float64), 200)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = [padded[at : at + 400] * window for at in range(0, len(samples) + 1, 160)]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    plain = power @ slaney_filters(40, 400, 16000).T
    np.testing.assert_allclose(power_mel(samples).numpy(), plain, rtol=2e-3, atol=1e-6)


def test_one_voice_is_more_alike_than_two(voices):
    vectors = {name: [ge2e()(clip) for clip in clips] for name, clips in voices.items()}
    same = [similarity(a, b) for a, b in vectors.values()]
    names = list(vectors)
    other = [similarity(vectors[a][0], vectors[b][1]) for a in names for b in names if a != b]
    assert min(same) > max(other) + 0.05


def test_vectors_have_length_one_and_ignore_level(voices):
    clip = voices["rms"][0]
    vector = ge2e()(clip)
    assert vector.shape == (ge2e().width,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert similarity(vector, ge2e()(clip * np.float32(0.25))) > 0.99


def test_windows_follow_the_length_of_the_speech(voices):
    long = resample(np.concatenate(voices["rms"]), SPEAKING.sample_rate_hz, RATE_HZ)
    assert len(ge2e().windows(long[:8000])) == 1
    assert 3 <= len(ge2e().windows(long)) <= 1 + (100 * len(long) / RATE_HZ - 160) // 77
    with pytest.raises(ValueError, match="0 samples"):
        ge2e()(long[:0])


def plain_kaldi(samples: np.ndarray) -> np.ndarray:
    """Kaldi's log filter banks, frame by frame, from its definition; mean removed."""

    def to_mel(hz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log(1 + np.asarray(hz) / 700)

    povey = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    edges = np.linspace(to_mel(20.0), to_mel(8000.0), 82)
    bins = to_mel(np.arange(256) * 16000 / 512)
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = samples[start : start + 400].astype(np.float64)
        frame -= frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * povey, 512))[:256] ** 2
        up = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
        down = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
        bands = np.maximum(0, np.minimum(up, down)) @ power
        rows.append(np.log(np.maximum(bands, np.finfo(np.float32).eps)))
    found = np.array(rows)
    return found - found.mean(axis=0)


def test_filter_banks_equal_kaldis_definition():
    samples = noise(8000)
    found = filter_banks(samples)
    assert found.shape == (48, 80)
    np.testing.assert_allclose(found, plain_kaldi(samples), atol=5e-3)
    with pytest.raises(ValueError, match="at least 400"):
        filter_banks(samples[:399])


def test_a_given_graph_hears_the_published_features(tmp_path):
    weight = np.random.default_rng(1).normal(size=(80, 192)).astype(np.float32)
    write_graph(tmp_path / "campplus.onnx", weight)
    clip = noise(24000)
    heard = torch.from_numpy(filter_banks(resample(clip, SPEAKING.sample_rate_hz, RATE_HZ)))
    vector = CamPlus(tmp_path / "campplus.onnx")(clip)
    assert vector.shape == (192,)
    np.testing.assert_allclose(vector, heard.mean(0).numpy() @ weight, atol=1e-4)


def test_a_file_that_is_no_such_graph_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is missing"):
        CamPlus(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_bytes(b"no graph")
    with pytest.raises(ValueError, match="no ONNX graph"):
        CamPlus(tmp_path / "text.onnx")
    write_graph(tmp_path / "narrow.onnx", np.zeros((40, 192), np.float32))
    with pytest.raises(ValueError, match=r"must map \[1, F, 80\] to \[1, 192\]"):
        CamPlus(tmp_path / "narrow.onnx")
