"""Mel to waveform: causal ConvNeXt blocks and an inverse Fourier transform.

The architecture is that of Vocos (arXiv 2306.00814) with its tensor names. Only the first
convolution sees future frames. Silence lies before and after the mel.
Shapes: S slots · M mel bands · T frames · D width · F frequencies · W window.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.config import VocosConfig
from moss_speech.decoder.mel import LOG_FLOOR
from moss_speech.decoder.vocoder.base import Vocoder
from moss_speech.decoder.vocoder.inverse import inverse
from moss_speech.decoder.vocoder.signals import Run, Signal, Stream, convolve

MAX_MAGNITUDE = 100.0


class Vocos(Vocoder):
    """Mel [S, M, T] to audio [S, T * hop]."""

    config: VocosConfig
    window_W: Tensor

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = nn.ModuleDict({"out": nn.Linear(config.width, config.n_fft + 2)})
        self.register_buffer("window_W", torch.hann_window(config.n_fft), persistent=False)

    def synthesise(self, mel: Signal, run: Stream) -> Signal:
        """Audio [S, 1, T * hop] of a piece of mel [S, M, T]."""
        hidden, hop = self.backbone(mel, run), self.config.format.hop_samples
        magnitude_SFT, phase_SFT = self.head["out"](hidden.values_SCN.mT).mT.float().chunk(2, 1)
        spectra_SFT = torch.polar(magnitude_SFT.exp().clamp(max=MAX_MAGNITUDE), phase_SFT)
        n_early = (self.config.n_fft - hop) // 2
        return inverse(replace(hidden, values_SCN=spectra_SFT), self.window_W, hop, n_early, run)


class Backbone(nn.Module):
    """Mel to hidden frames."""

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        self._n_left = config.kernel - 1 - config.lookahead_frames
        self.embed = nn.Conv1d(config.format.n_mels, config.width, config.kernel)
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.convnext = nn.ModuleList(ConvNeXtBlock(config) for _ in range(config.n_blocks))
        self.final_layer_norm = nn.LayerNorm(config.width, eps=1e-6)

    def forward(self, mel: Signal, run: Run) -> Signal:
        """Mel [S, M, T] to [S, D, T]."""
        x = convolve(self.embed, mel, run, self._n_left, fill=LOG_FLOOR)
        x = run.masked(replace(x, values_SCN=self.norm(x.values_SCN.mT).mT))
        for block in self.convnext:
            x = run.masked(x + block(x, run))
        return replace(x, values_SCN=self.final_layer_norm(x.values_SCN.mT).mT)


class ConvNeXtBlock(nn.Module):
    """Depth-wise convolution of the past, norm, feed-forward, learned scale."""

    def __init__(self, config: VocosConfig) -> None:
        super().__init__()
        width = config.width
        self.dwconv = nn.Conv1d(width, width, config.kernel, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, config.ffn_width)
        self.pwconv2 = nn.Linear(config.ffn_width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1 / config.n_blocks))

    def forward(self, x: Signal, run: Run) -> Signal:
        """The residual [S, D, T]."""
        (kernel,) = self.dwconv.kernel_size
        mixed = convolve(self.dwconv, x, run, kernel - 1)
        h_STD = self.pwconv1(self.norm(mixed.values_SCN.mT))
        return replace(mixed, values_SCN=(self.gamma * self.pwconv2(F.gelu(h_STD))).mT)
