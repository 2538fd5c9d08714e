"""The packaged speaker encoder: three LSTM layers trained with the GE2E loss (Wan et al. 2018).

Resemble AI's weights (asset `ge2e`); the front end is written anew after their published
settings: power mel spectrogram, not its logarithm, of level speech.
Shapes: S samples (clips at 24 kHz, within at 16 kHz) · F frames of 10 ms · M mel bands ·
P windows of 1.6 s · K vector width.
"""

from functools import cache

import numpy as np
import torch
import torchaudio.functional
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.assets import fetch
from moss_speech.audio import LISTENING, SPEAKING, Samples, resample
from moss_speech.speech.speaker import Vector
from moss_speech.speech.vad import speech_only

N_MELS, N_FFT, HOP_SAMPLES = 40, 400, 160
WINDOW_FRAMES, STEP_FRAMES = 160, 77
"""1.6 s windows, 1.3 of them a second."""
LEVEL = 10 ** (-30 / 20)
"""Root mean square that speech is brought to: the bands are powers, so level would count."""
HIDDEN, LAYERS = 256, 3


def power_mel(samples_S: Samples) -> Tensor:
    """Power mel spectrogram [F, M] of samples at 16 kHz: Slaney bands to 8 kHz, zeros beyond."""
    spectrum = torch.stft(
        torch.from_numpy(samples_S),
        N_FFT,
        HOP_SAMPLES,
        window=torch.hann_window(N_FFT),
        pad_mode="constant",
        return_complex=True,
    )
    top_hz, rate_hz = LISTENING.sample_rate_hz / 2, LISTENING.sample_rate_hz
    bank = torchaudio.functional.melscale_fbanks(
        N_FFT // 2 + 1, 0.0, top_hz, N_MELS, rate_hz, norm="slaney", mel_scale="slaney"
    )
    mel_FM: Tensor = (spectrum.real**2 + spectrum.imag**2).T @ bank
    return mel_FM


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(N_MELS, HIDDEN, LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, mel_PFM: Tensor) -> Tensor:
        """Unit vectors [P, K]."""
        hidden = self.lstm(mel_PFM)[1][0][-1]
        return F.normalize(torch.relu(self.linear(hidden)), dim=1)


class Ge2e:
    """Listens to the speech of a clip, pauses left out, window by window."""

    width = HIDDEN

    def __init__(self) -> None:
        saved = torch.load(fetch("ge2e") / "pretrained.pt", map_location="cpu", weights_only=True)
        self._network = _Network().eval()
        own = self._network.state_dict().keys()
        self._network.load_state_dict({name: saved["model_state"][name] for name in own})

    def __call__(self, samples_S: Samples) -> Vector:
        """Mean of the windows' vectors, float32 [256] of length 1.

        Raises `ValueError` for an empty clip.
        """
        if samples_S.size == 0:
            raise ValueError("clip holds 0 samples, must hold at least 1")
        heard_S = resample(samples_S, SPEAKING.sample_rate_hz, LISTENING.sample_rate_hz)
        mean_K = self.windows(heard_S).mean(axis=0)
        return np.asarray(mean_K / np.linalg.norm(mean_K), np.float32)

    @torch.inference_mode()
    def windows(self, samples_S: Samples) -> Vector:
        """Unit vectors of overlapping windows of the speech in a clip at 16 kHz, [P, 256].

        A clip with less speech than a window gives one.
        """
        speech_S = speech_only(samples_S)
        level = float(np.sqrt(np.mean(np.square(speech_S, dtype=np.float64))))
        mel_FM = power_mel(np.asarray(speech_S * (LEVEL / max(level, 1e-6)), np.float32))
        missing = max(0, WINDOW_FRAMES - len(mel_FM))
        mel_FM = F.pad(mel_FM, (0, 0, 0, missing))
        mel_PFM = mel_FM.unfold(0, WINDOW_FRAMES, STEP_FRAMES).transpose(1, 2)
        return np.asarray(self._network(mel_PFM).numpy(), np.float32)


@cache
def ge2e() -> Ge2e:
    """The encoder, opened once a process."""
    return Ge2e()
