"""HiFT, the released vocoder: a harmonic source shaped by convolutions, and an inverse transform.

Tensors have the released names; at the published size (`presets/paper.yaml`) they are those of
`hift.pt`. `published` decodes as the released code does; `step` and `forward` decode streams,
in which silence lies before and after the mel.
Shapes: S slots · M mel bands · T frames · C channels · F frequencies · N samples · W window.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from moss_speech.decoder.config import HiftConfig
from moss_speech.decoder.vocoder.base import Vocoder
from moss_speech.decoder.vocoder.f0 import F0Predictor
from moss_speech.decoder.vocoder.inverse import inverse
from moss_speech.decoder.vocoder.residual import ResBlock
from moss_speech.decoder.vocoder.signals import (
    Run,
    Signal,
    Stream,
    Whole,
    convolve,
    left_of,
    spread,
)
from moss_speech.decoder.vocoder.source import Source

PRE_KERNEL = POST_KERNEL = 7
SLOPE, LAST_SLOPE = 0.1, 0.01
"""Of the leaky ReLU before each stage, and before the last convolution."""
MAX_MAGNITUDE = 100.0
AUDIO_LIMIT = 0.99


class HiFT(Vocoder):
    """Mel [S, M, T] to audio [S, T * hop]."""

    config: HiftConfig
    window_W: Tensor

    def __init__(self, config: HiftConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels >> i for i in range(len(config.upsample_rates) + 1)]
        self.m_source = Source(config)
        self.conv_pre = weight_norm(nn.Conv1d(config.format.n_mels, widths[0], PRE_KERNEL))
        self.ups, self.source_downs = nn.ModuleList(), nn.ModuleList()
        self.source_resblocks, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for i, (rate, kernel) in enumerate(
            zip(config.upsample_rates, config.upsample_kernels, strict=True)
        ):
            width, pad = widths[i + 1], (kernel - rate) // 2
            up = nn.ConvTranspose1d(widths[i], width, kernel, rate, pad)
            self.ups.append(weight_norm(up))
            self.source_downs.append(self._source_down(i, width))
            self.source_resblocks.append(ResBlock(config, width, config.source_kernels[i]))
            self.resblocks.extend(ResBlock(config, width, k) for k in config.resblock_kernels)
        self.conv_post = weight_norm(nn.Conv1d(widths[-1], config.n_fft + 2, POST_KERNEL))
        self.f0_predictor = F0Predictor(config)
        self.register_buffer("window_W", torch.hann_window(config.n_fft), persistent=False)

    def _source_down(self, stage: int, width: int) -> nn.Conv1d:
        """The source's spectra at the rate of a stage."""
        rate = math.prod(self.config.upsample_rates[stage + 1 :])
        n_inputs = self.config.n_fft + 2
        return nn.Conv1d(n_inputs, width, 2 * rate if rate > 1 else 1, rate, rate // 2)

    def f0_hz(self, mel_SMT: Tensor) -> Tensor:
        """The pitch [S, T] that the network hears in a whole mel."""
        return self._f0(Signal(mel_SMT), Whole()).values_SCN[:, 0]

    def synthesise(self, mel: Signal, run: Stream) -> Signal:
        """Audio [S, 1, T * hop] of a piece of mel [S, M, T]."""
        f0 = self._f0(mel, run)
        source = self.m_source.stream(replace(f0, values_SCN=f0.values_SCN.detach()), run)
        spectra = self._shaped(mel, self._transformed(source, run), run)
        hop, n_early = self.config.hop_samples, self.config.n_fft // 2
        audio = inverse(spectra, self.window_W, hop, n_early, run)
        return replace(audio, values_SCN=audio.values_SCN.clamp(-AUDIO_LIMIT, AUDIO_LIMIT))

    def published(
        self,
        mel_SMT: Tensor,
        cached_source_S1N: Tensor,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Audio [S, T * hop] and source [S, 1, T * hop] of a mel as the released code makes them.

        The source begins with the cached one, which may be empty; its noise comes from the
        generator. Convolutions see zeros beyond both ends.
        """
        run, mel = Whole(), Signal(mel_SMT)
        source_S1N = self.m_source.whole(self._f0(mel, run).values_SCN, generator)
        n_cached = cached_source_S1N.shape[-1]
        source_S1N = torch.cat([cached_source_S1N, source_S1N[..., n_cached:]], -1)
        n_fft, hop = self.config.n_fft, self.config.hop_samples
        spectra_SFN = torch.stft(
            source_S1N[:, 0], n_fft, hop, window=self.window_W, return_complex=True
        )
        parts_SCN = torch.cat([spectra_SFN.real, spectra_SFN.imag], 1)
        rate = self.config.format.hop_samples // hop
        made = self._shaped(mel, Signal(parts_SCN, rate), run).values_SCN
        audio_SN = torch.istft(made, n_fft, hop, window=self.window_W)
        return audio_SN.clamp(-AUDIO_LIMIT, AUDIO_LIMIT), source_S1N

    def _f0(self, mel: Signal, run: Run) -> Signal:
        hz: Signal = self.f0_predictor(mel, run)
        return hz

    def _transformed(self, source: Signal, run: Stream) -> Signal:
        """Spectra of the source, real parts then imaginary ones: [S, C, N]."""
        n_fft, hop = self.config.n_fft, self.config.hop_samples
        seen = run.around(source, n_fft, n_fft // 2, hop)
        windows_SNW = seen.values_SCN[:, 0].unfold(-1, n_fft, hop) * self.window_W
        spectra_SFN = torch.fft.rfft(windows_SNW).mT
        parts_SCN = torch.cat([spectra_SFN.real, spectra_SFN.imag], 1)
        return run.masked(replace(seen, values_SCN=parts_SCN))

    def _shaped(self, mel: Signal, source: Signal, run: Run) -> Signal:
        """Complex spectra [S, F, N] of the audio."""
        x = convolve(self.conv_pre, mel, run, left_of(self.conv_pre, self._look(PRE_KERNEL)))
        for i in range(len(self.ups)):
            x = self._stage(i, x, source, run)
        x = replace(x, values_SCN=F.leaky_relu(x.values_SCN, LAST_SLOPE))
        x = convolve(self.conv_post, x, run, left_of(self.conv_post, self._look(1)))
        logs_SFN, angles_SFN = x.values_SCN.float().chunk(2, 1)
        magnitude_SFN = logs_SFN.exp().clamp(max=MAX_MAGNITUDE)
        return replace(x, values_SCN=torch.polar(magnitude_SFN, angles_SFN.sin()))

    def _look(self, kernel: int) -> int | None:
        """Future steps that a convolution sees: None for as many as past ones."""
        ahead = self.config.lookahead_frames
        return None if ahead is None else min(ahead, kernel - 1)

    def _stage(self, index: int, x: Signal, source: Signal, run: Run) -> Signal:
        """Raise the rate, add the source, pass the residual blocks side by side."""
        up, down = self.ups[index], self.source_downs[index]
        assert isinstance(up, nn.ConvTranspose1d) and isinstance(down, nn.Conv1d)
        assert isinstance(down.padding[0], int)
        x = spread(up, replace(x, values_SCN=F.leaky_relu(x.values_SCN, SLOPE)), run)
        if index == len(self.ups) - 1:
            x = run.lead(x)
        given = self.source_resblocks[index](convolve(down, source, run, down.padding[0]), run)
        x, given = run.align(x, given)
        x, n_blocks = x + given, len(self.config.resblock_kernels)
        blocks = self.resblocks[index * n_blocks : (index + 1) * n_blocks]
        first, *others = run.align(*(block(x, run) for block in blocks))
        for other in others:
            first = first + other
        return replace(first, values_SCN=first.values_SCN / n_blocks)
