"""The pitch of speech, heard by normalised correlation: what HiFT's predictor learns from.

Shapes: B batch · S samples · T mel frames · N samples of a window · L lags.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from moss_speech.audio import AudioFormat

LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
WINDOW_S = 0.04
VOICED_CORRELATION = 0.6
"""A frame whose best correlation is below this has no pitch."""
QUIET = 1e-3
"""A frame whose root mean square is below this has no pitch."""
NEARLY_BEST = 0.9
"""The shortest lag so near to the best wins, so that no octave is lost."""


def pitch_hz(audio_BS: Tensor, format: AudioFormat) -> Tensor:
    """Pitch [B, T] in Hz of audio [B, S] at the middle of each mel frame; 0 without voice."""
    rate, hop = format.sample_rate_hz, format.hop_samples
    n_window, n_lags = round(WINDOW_S * rate), round(rate / LOWEST_HZ) + 1
    before = (n_window + n_lags - hop) // 2
    padded_BS = F.pad(audio_BS, (before, n_window + n_lags))
    pieces_BTN = padded_BS.unfold(-1, n_window + n_lags, hop)[:, : audio_BS.shape[-1] // hop]
    alike_BTL, loudness_BT = _correlation(pieces_BTN, n_window)
    first_lag = int(rate / HIGHEST_HZ)
    best_BT = alike_BTL[..., first_lag:].amax(-1)
    peak_BTL = _peaks(alike_BTL) & (alike_BTL >= NEARLY_BEST * best_BT[..., None])
    peak_BTL[..., :first_lag] = False
    lag_BT = peak_BTL.float().argmax(-1)
    voiced_BT = peak_BTL.any(-1) & (best_BT > VOICED_CORRELATION) & (loudness_BT > QUIET)
    return torch.where(voiced_BT, rate / _refined(alike_BTL, lag_BT), 0.0)


def _correlation(pieces_BTN: Tensor, n_window: int) -> tuple[Tensor, Tensor]:
    """Likeness [B, T, L] of a piece's beginning to itself each lag later, and its loudness."""
    n_fft = 2 * pieces_BTN.shape[-1]
    start_BTF = torch.fft.rfft(pieces_BTN[..., :n_window], n_fft)
    product_BTF = start_BTF.conj() * torch.fft.rfft(pieces_BTN, n_fft)
    n_lags = pieces_BTN.shape[-1] - n_window
    cross_BTL = torch.fft.irfft(product_BTF, n_fft)[..., :n_lags]
    sums_BTN = F.pad(pieces_BTN.double().square().cumsum(-1), (1, 0))
    energy_BTL = (sums_BTN[..., n_window:] - sums_BTN[..., :-n_window])[..., :n_lags].float()
    energy_BT1 = energy_BTL[..., :1]
    alike_BTL = cross_BTL / (energy_BT1 * energy_BTL).clamp(min=1e-12).sqrt()
    return alike_BTL, (energy_BT1[..., 0] / n_window).sqrt()


def _peaks(alike_BTL: Tensor) -> Tensor:
    """Where a lag is better than its neighbours; the ends are not."""
    inner_BTL = alike_BTL[..., 1:-1]
    higher = (inner_BTL >= alike_BTL[..., :-2]) & (inner_BTL > alike_BTL[..., 2:])
    return F.pad(higher, (1, 1))


def _refined(alike_BTL: Tensor, lag_BT: Tensor) -> Tensor:
    """The top of the parabola through a lag and its neighbours, in samples."""
    lag_BT = lag_BT.clamp(1, alike_BTL.shape[-1] - 2)
    left, middle, right = (
        alike_BTL.gather(-1, (lag_BT + step)[..., None])[..., 0] for step in (-1, 0, 1)
    )
    bend = (left - 2 * middle + right).clamp(max=-1e-9)
    return lag_BT + (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
