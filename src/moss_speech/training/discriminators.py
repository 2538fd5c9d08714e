"""Networks that tell made speech from real: by periods of the wave, and by spectra.

They teach a vocoder and are never saved with it. Periods as in HiFi-GAN (arXiv 2010.05646),
spectra as in EnCodec and Vocos, hinge losses.
Shapes: B batch · S samples · C channels · T time · P period · F frequencies.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from moss_speech.params.decoder import Adversarial

SLOPE = 0.1
N_PERIOD_LAYERS, N_SPECTRUM_LAYERS = 4, 4
MAX_GROWTH = 8
"""Widest layer, in times the narrowest."""

Maps = list[Tensor]
"""What a discriminator makes of some audio, layer by layer; the last are its scores."""


class Discriminators(nn.Module):
    """All of them side by side."""

    def __init__(self, p: Adversarial) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            [
                *(PeriodDiscriminator(period, p.channels) for period in p.periods),
                *(SpectrumDiscriminator(n_fft, p.channels) for n_fft in p.fft_sizes),
            ]
        )

    def forward(self, audio_BS: Tensor) -> list[Maps]:
        """What each makes of the audio."""
        return [part(audio_BS) for part in self.parts]

    def as_teachers(self, audio_BS: Tensor) -> list[Maps]:
        """The same; the gradient passes through them, and they do not learn from it."""
        fixed = {name: weight.detach() for name, weight in self.named_parameters()}
        maps: list[Maps] = functional_call(self, fixed, (audio_BS,))
        return maps


class PeriodDiscriminator(nn.Module):
    """Sees every P-th sample: convolutions along time over the wave folded by its period."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self._period = period
        widths = [1, *(channels * min(2**i, MAX_GROWTH) for i in range(N_PERIOD_LAYERS))]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0))) for a, b in pairwise(widths)
        )
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio_BS: Tensor) -> Maps:
        """Maps of audio [B, S]."""
        padded_BS = F.pad(audio_BS, (0, -audio_BS.shape[-1] % self._period))
        x_BCTP = padded_BS.view(len(padded_BS), 1, -1, self._period)
        return _maps(x_BCTP, self.layers, self.score)


class SpectrumDiscriminator(nn.Module):
    """Sees a complex spectrogram: convolutions over time and frequency."""

    window_W: Tensor

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("window_W", torch.hann_window(n_fft), persistent=False)
        strides = [1, *[2] * (N_SPECTRUM_LAYERS - 1)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(2 if i == 0 else channels, channels, (3, 9), (1, s), (1, 4)))
            for i, s in enumerate(strides)
        )
        self.score = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, audio_BS: Tensor) -> Maps:
        """Maps of audio [B, S]."""
        n_fft = len(self.window_W)
        spectra_BFT = torch.stft(
            audio_BS, n_fft, n_fft // 4, window=self.window_W, normalized=True, return_complex=True
        )
        x_BCTF = torch.stack([spectra_BFT.real, spectra_BFT.imag], 1).mT
        return _maps(x_BCTF, self.layers, self.score)


def _maps(x: Tensor, layers: nn.ModuleList, score: nn.Module) -> Maps:
    maps = []
    for layer in layers:
        x = F.leaky_relu(layer(x), SLOPE)
        maps.append(x)
    return [*maps, score(x)]


def judging_loss(real: list[Maps], made: list[Maps]) -> Tensor:
    """Hinge loss of the discriminators: real above 1, made below -1; mean over them."""
    losses = [
        F.relu(1 - r[-1]).mean() + F.relu(1 + m[-1]).mean() for r, m in zip(real, made, strict=True)
    ]
    return torch.stack(losses).mean()


def fooling_loss(made: list[Maps]) -> Tensor:
    """Hinge loss of the vocoder: made above 1."""
    return torch.stack([F.relu(1 - m[-1]).mean() for m in made]).mean()


def feature_loss(real: list[Maps], made: list[Maps]) -> Tensor:
    """L1 between the maps of real and made audio, scores left out."""
    losses = [
        (a.detach() - b).abs().mean()
        for r, m in zip(real, made, strict=True)
        for a, b in zip(r[:-1], m[:-1], strict=True)
    ]
    return torch.stack(losses).mean()
