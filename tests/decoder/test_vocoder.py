"""Vocos and what all vocoders share: sample counts, look-ahead, the inverse transform."""

import pytest
import torch

from moss_speech.decoder.vocoder.inverse import inverse
from moss_speech.decoder.vocoder.signals import Signal, Stream
from tests.decoder.networks import hift, vocoder


@pytest.mark.parametrize("n_fft", [960, 1280, 1920])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 17])
def test_every_mel_frame_gives_one_hop_of_samples(n_fft, n_frames):
    assert vocoder(n_fft=n_fft)(torch.randn(2, 80, n_frames)).shape == (2, 480 * n_frames)


@pytest.mark.parametrize(
    ("n_fft", "hop", "n_early"), [(1920, 480, 720), (16, 4, 8), (1280, 480, 400)]
)
def test_inverse_equals_the_transform_that_made_the_spectra(n_fft, hop, n_early):
    """Also at the beginning, where fewer windows overlap."""
    audio = torch.randn(1, 40 * hop, generator=torch.Generator().manual_seed(0))
    window = torch.hann_window(n_fft)
    padded = torch.nn.functional.pad(audio, (n_early, n_fft))
    spectra = torch.fft.rfft(padded.unfold(-1, n_fft, hop) * window).mT
    run = Stream(1, spectra.shape[-1], None, audio.device)
    made = inverse(Signal(spectra), window, hop, n_early, run)
    assert made.delay == n_early
    kept = made.values_SCN[:, 0, n_early:][:, : 30 * hop]
    assert torch.allclose(kept, audio[:, : 30 * hop], atol=1e-5)  # measured below 2e-6


@pytest.mark.parametrize(
    ("net", "n_past"),
    [
        (vocoder(lookahead_frames=2), 2 * 480 + 720),
        (hift(lookahead_frames=1), None),
        (hift(lookahead_frames=None), None),
    ],
    ids=["vocos", "causal hift", "centred hift"],
)
def test_latency_is_what_the_network_sees_of_the_future(net, n_past):
    """A change of the mel reaches back just so far: not further, and nearly so far."""
    assert n_past is None or net.latency_samples == n_past
    mel = torch.randn(1, 80, 40, generator=torch.Generator().manual_seed(0))
    changed = mel.clone()
    changed[..., 30:] += 1
    with torch.no_grad():
        differ = (net(mel) != net(changed))[0]
    first = int(differ.nonzero()[0])
    settled = 30 * 480 - net.latency_samples
    assert settled <= first < settled + 480
