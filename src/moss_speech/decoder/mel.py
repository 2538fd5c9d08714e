"""The mel spectrogram that decoder and vocoder share (docs/reference/decoder-format.md).

Shapes: B batch · S samples · T frames · M mel bands · F frequencies.
"""

from functools import cache

import numpy as np
import torch
import torchaudio.functional
from torch import Tensor
from torch.nn import functional as F

from moss_speech.audio import AudioFormat, Samples

MAX_HZ = 8000.0
POWER_FLOOR = 1e-9
"""Added to the power before the root."""
MAGNITUDE_FLOOR = 1e-5
LOG_FLOOR = float(np.log(MAGNITUDE_FLOOR))
"""The quietest value a log mel can have."""


@cache
def _mel_filters(format: AudioFormat) -> Tensor:
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        n_freqs=format.window_samples // 2 + 1,
        f_min=0.0,
        f_max=MAX_HZ,
        n_mels=format.n_mels,
        sample_rate=format.sample_rate_hz,
        norm="slaney",
        mel_scale="slaney",
    )
    return filters


def log_mel(samples_BS: Tensor, format: AudioFormat) -> Tensor:
    """Log mel [B, M, T] of audio [B, S], T = S // hop; differentiable.

    Raises `ValueError` for audio shorter than one window.
    """
    pad = (format.window_samples - format.hop_samples) // 2
    if samples_BS.shape[-1] <= pad:
        raise ValueError(f"audio of {samples_BS.shape[-1]} samples, must be at least {pad + 1}")
    padded_BS = F.pad(samples_BS[:, None], (pad, pad), mode="reflect")[:, 0]
    spectrum_BFT = torch.stft(
        padded_BS,
        format.window_samples,
        format.hop_samples,
        window=torch.hann_window(format.window_samples, device=samples_BS.device),
        center=False,
        return_complex=True,
    )
    power_BFT = spectrum_BFT.real.square() + spectrum_BFT.imag.square()
    magnitude_BFT = torch.sqrt(power_BFT + POWER_FLOOR)
    mel_BMT = _mel_filters(format).to(samples_BS.device).T @ magnitude_BFT
    return torch.log(mel_BMT.clamp(min=MAGNITUDE_FLOOR))


def mel_of_codes(samples_S: Samples, n_codes: int, format: AudioFormat) -> Tensor:
    """Log mel [T, M] of exactly `n_codes` codes: the audio is cut or filled with silence to fit."""
    wanted = n_codes * format.samples_per_code
    filled_S = np.zeros(wanted, np.float32)
    filled_S[: min(wanted, samples_S.size)] = samples_S[:wanted]
    return log_mel(torch.from_numpy(filled_S)[None], format)[0].T.contiguous()


def mel_statistics(mel_TM: Tensor) -> Tensor:
    """Speaker vector [2M] of a mel: how its mean and deviation differ between bands.

    Each half is centred, so loudness is left out; the whole has length 1.
    """
    mean_M, deviation_M = mel_TM.mean(0), mel_TM.std(0, correction=0)
    both = torch.cat([mean_M - mean_M.mean(), deviation_M - deviation_M.mean()])
    return F.normalize(both, dim=0)
