"""Streams of spectra to audio: the inverse Fourier transform with overlapping windows.

Shapes: S slots · F frequencies · T spectra · W window · N samples · R samples that overlap.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from moss_speech.decoder.vocoder.signals import Signal, Stream


def inverse(spectra: Signal, window_W: Tensor, hop: int, n_early: int, run: Stream) -> Signal:
    """Audio [S, 1, N] of complex spectra [S, F, T], one every `hop` samples.

    Windows are divided by the sum of their squares; those before the beginning count nothing.
    The first window begins `n_early` samples before the audio.
    """
    n_window, n_spectra = len(window_W), spectra.values_SCN.shape[-1]
    present_S1T = run.present(Signal(spectra.values_SCN.real, spectra.rate, spectra.delay))
    waves_SWT = torch.fft.irfft(spectra.values_SCN, n_window, dim=1) * window_W[:, None]
    sums_S2N = torch.stack(
        [
            overlap_add(waves_SWT * present_S1T, hop),
            overlap_add(window_W.square()[:, None] * present_S1T, hop),
        ],
        1,
    )
    rest_S2R = run.recall("overlap", 2, n_window - hop)
    sums_S2N = sums_S2N + F.pad(rest_S2R, (0, (n_spectra - 1) * hop + hop))
    n_settled = n_spectra * hop
    run.new["overlap"] = sums_S2N[..., n_settled:]
    audio_S1N = sums_S2N[:, :1, :n_settled] / sums_S2N[:, 1:, :n_settled].clamp(min=1e-6)
    return Signal(audio_S1N, spectra.rate * hop, spectra.delay * hop + n_early)


def overlap_add(waves_SWT: Tensor, hop: int) -> Tensor:
    """Sum windows [S, W, T] placed every `hop` samples: [S, (T - 1) * hop + W]."""
    _, n_window, n_waves = waves_SWT.shape
    n_samples = (n_waves - 1) * hop + n_window
    summed = F.fold(waves_SWT, (1, n_samples), (1, n_window), stride=(1, hop))
    return summed[:, 0, 0]
