"""HiFT's source and transforms against slow references written from the description.

The reference follows the released recipe sample by sample: per-sample pitch, initial phases,
linear interpolation down and up, plain sums.
"""

import math

import pytest
import torch
from torch import Tensor

from moss_speech.decoder.vocoder import source as source_module
from moss_speech.decoder.vocoder.signals import Signal, Whole
from tests.decoder.networks import hift

HOP, RATE = 480, 24000


def interpolated(x_N: Tensor, n_out: int) -> Tensor:
    """Linear interpolation with half-sample centres, edges held."""
    n, out = len(x_N), []
    for i in range(n_out):
        place = min(max((i + 0.5) * n / n_out - 0.5, 0.0), n - 1.0)
        low = int(place)
        high = min(low + 1, n - 1)
        out.append(x_N[low] + (place - low) * (x_N[high] - x_N[low]))
    return torch.stack(out)


def reference_source(hz_T: Tensor, n_sines: int, phases_H: Tensor, noise_NH: Tensor) -> Tensor:
    """Sines and noise [N, H] of one utterance, in double precision."""
    hz_N = hz_T.double().repeat_interleave(HOP)
    voiced_N = (hz_N > 10).double()
    made = []
    for h in range(n_sines):
        turns_N = hz_N * (h + 1) / RATE % 1
        turns_N[0] += 0 if h == 0 else phases_H[h]
        phase_T = interpolated(turns_N, len(hz_T)).cumsum(0) * 2 * math.pi
        phase_N = interpolated(phase_T * HOP, len(hz_N))
        noise_level_N = voiced_N * 0.003 + (1 - voiced_N) * 0.1 / 3
        made.append(0.1 * phase_N.sin() * voiced_N + noise_level_N * noise_NH[:, h])
    return torch.stack(made, 1)


@pytest.mark.parametrize("highest", [300.0, 4000.0])
def test_source_equals_the_recipe_sample_by_sample(highest):
    """At 4 kHz the overtones pass the sampling rate and wrap."""
    net, n_frames = hift(), 9
    net.m_source.l_linear.weight.data.normal_(0, 0.3)
    hz_T = torch.rand(n_frames, generator=torch.Generator().manual_seed(4)) * highest
    hz_T[2:4] = 5.0
    got = net.m_source.whole(hz_T[None, None], torch.Generator().manual_seed(7))
    draws = torch.Generator().manual_seed(7)
    phases = torch.rand(1, 9, generator=draws)[0]
    noise = torch.randn(1, n_frames * HOP, 9, generator=draws)[0]
    mixed = reference_source(hz_T, 9, phases, noise)
    linear = net.m_source.l_linear
    wanted = (mixed @ linear.weight[0].double() + linear.bias.double()).tanh()
    assert (got[0, 0] - wanted).abs().max() < 1e-5  # measured below 1e-6


def test_the_generator_is_left_where_the_released_code_leaves_it():
    ours, theirs = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    hift().m_source.whole(torch.zeros(2, 1, 4), ours)
    for shape, draw in (
        ((2, 9), torch.rand),
        ((2, 1920, 9), torch.randn),
        ((2, 1920), torch.randn),
    ):
        draw(shape, generator=theirs)
    assert torch.equal(torch.rand(5, generator=ours), torch.rand(5, generator=theirs))


def reference_spectra(source_N: Tensor) -> Tensor:
    """Real and imaginary parts [18, K] of windows of 16 every 4, centred, ends reflected."""
    padded = torch.cat([source_N[1:9].flip(0), source_N, source_N[-9:-1].flip(0)]).double()
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(16, dtype=torch.float64) / 16)
    columns = []
    for start in range(0, len(padded) - 15, 4):
        piece = padded[start : start + 16] * window
        angles = 2 * math.pi / 16 * torch.outer(torch.arange(9.0), torch.arange(16.0)).double()
        columns.append(torch.cat([angles.cos() @ piece, -(angles.sin() @ piece)]))
    return torch.stack(columns, 1)


def reference_audio(logs_KF: Tensor, angles_KF: Tensor) -> Tensor:
    """Windows of 16 every 4, divided by the sum of squared windows, 8 cut from both ends."""
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(16, dtype=torch.float64) / 16)
    n = 4 * (len(logs_KF) - 1) + 16
    total, weight = torch.zeros(n).double(), torch.zeros(n).double()
    bins = torch.arange(9.0).double()
    scale = torch.tensor([1.0] + [2.0] * 7 + [1.0]).double() / 16
    for k, (logs, angles) in enumerate(zip(logs_KF, angles_KF, strict=True)):
        magnitude, phase = logs.double().exp().clamp(max=100), angles.double().sin()
        real, imaginary = magnitude * phase.cos(), magnitude * phase.sin()
        imaginary[0] = imaginary[8] = 0
        for i in range(16):
            turn = 2 * math.pi / 16 * bins * i
            wave = (scale * (real * turn.cos() - imaginary * turn.sin())).sum()
            total[4 * k + i] += wave * window[i]
            weight[4 * k + i] += window[i] ** 2
    return (total / weight.clamp(min=1e-12))[8:-8].clamp(-0.99, 0.99)


@torch.no_grad()
def test_published_decode_equals_slow_transforms_around_the_same_layers():
    net = hift()
    last = net.conv_post
    last.bias[:] = torch.linspace(-3.5, -2, 18)
    mel = torch.randn(1, 80, 4, generator=torch.Generator().manual_seed(0))
    heard: list[Tensor] = []
    shaped = net._shaped

    def listen(mel: Signal, source: Signal, run: Whole) -> Signal:
        heard.append(source.values_SCN)
        spectra = shaped(mel, source, run)
        heard.append(spectra.values_SCN)
        return spectra

    net._shaped = listen
    audio, source = net.published(mel, torch.zeros(1, 1, 0), torch.Generator().manual_seed(0))
    assert audio.shape == source[:, 0].shape == (1, 4 * HOP)
    assert (heard[0][0] - reference_spectra(source[0, 0])).abs().max() < 1e-5
    spectra = heard[1][0].T
    magnitude, phase = spectra.abs(), spectra.angle()
    assert phase.abs().max() <= 1  # a sine
    wanted = reference_audio(magnitude.log(), phase.asin())
    assert (audio[0] - wanted).abs().max() < 1e-5


@torch.no_grad()
def test_cached_source_replaces_the_first_samples_of_source_and_sound():
    net, mel = hift(), torch.randn(1, 80, 12)
    free, source = net.published(mel, torch.zeros(1, 1, 0), torch.Generator().manual_seed(0))
    cached = torch.full((1, 1, 8 * HOP), 0.5)
    bound, used = net.published(mel, cached, torch.Generator().manual_seed(0))
    assert torch.equal(used[..., : 8 * HOP], cached)
    assert torch.equal(used[..., 8 * HOP :], source[..., 8 * HOP :])
    assert not torch.allclose(free[:, : 4 * HOP], bound[:, : 4 * HOP], atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("kernels", [[3, 5], [11]])
def test_stream_equals_the_published_decode_away_from_the_ends(monkeypatch, kernels):
    """Same phase and layers; noise, whose draws differ, is off."""
    monkeypatch.setattr(source_module, "VOICED_NOISE", 0.0)
    monkeypatch.setattr(source_module, "UNVOICED_NOISE", 0.0)
    net = hift(resblock_kernels=kernels)
    mel = torch.randn(1, 80, 70, generator=torch.Generator().manual_seed(1))
    published, _ = net.published(mel, torch.zeros(1, 1, 0))
    streamed = net(mel)
    far = slice(net.latency_samples, 70 * HOP - net.latency_samples)
    assert published[:, far].abs().max() > 1e-3
    assert (published - streamed)[:, far].abs().max() < 1e-5
