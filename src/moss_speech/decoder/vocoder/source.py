"""The harmonic source: sines of the pitch and its overtones, and noise.

The phase runs on from frame to frame and is straight between the middles of frames, so a frame's
sines are known up to its middle: audio lies half a frame behind the pitch. Initial phases, which
the released code draws, have no effect there (its down-interpolation skips them), nor here.
In a stream the noise is a table of seed 0 that repeats: a function of the place alone.
Shapes: S slots · T frames · N samples · H sines (pitch and overtones).
"""

import math
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.config import HiftConfig
from moss_speech.decoder.vocoder.signals import Signal, Stream

SINE_AMPLITUDE = 0.1
VOICED_NOISE = 0.003
UNVOICED_NOISE = SINE_AMPLITUDE / 3
VOICED_HZ = 10.0
"""A higher pitch counts as voice."""
NOISE_S = 4
"""Length of the table of noise."""
NOISE_SEED = 0


@cache
def noise_table(n_samples: int, n_sines: int, device: torch.device) -> Tensor:
    """The noise [N, H] that streams repeat; equal on all devices."""
    generator = torch.Generator().manual_seed(NOISE_SEED)
    return torch.randn(n_samples, n_sines, generator=generator, device="cpu").to(device)


class Source(nn.Module):
    """Pitch to the waveform that the network shapes."""

    def __init__(self, config: HiftConfig) -> None:
        super().__init__()
        self._hop, self._rate_hz = config.format.hop_samples, config.format.sample_rate_hz
        self._n_sines = config.n_harmonics + 1
        self.l_linear = nn.Linear(self._n_sines, 1)

    def stream(self, f0: Signal, run: Stream) -> Signal:
        """Source [S, 1, N] of the next frames of running streams."""
        hz_ST = f0.values_SCN[:, 0]
        steps_ST = run.steps(f0)
        past_S1 = run.recall("f0_hz", 1)
        phase_SH = run.recall("cycles", self._n_sines, dtype=torch.float64)
        run.new["f0_hz"] = hz_ST[:, -1:]
        cycles_SNH, run.new["cycles"] = self.cycles(hz_ST, phase_SH, steps_ST > 0)
        voiced_SN1 = self.voiced(torch.cat([past_S1, hz_ST], 1))
        place_SN = steps_ST[:, :1] * self._hop - self._hop // 2
        place_SN = place_SN + torch.arange(cycles_SNH.shape[1], device=hz_ST.device)
        made_S1N = self.wave(cycles_SNH, voiced_SN1, self._noise(place_SN))
        half = self._hop // 2
        source = Signal(made_S1N, f0.rate * self._hop, f0.delay * self._hop + half)
        return run.masked(source)

    def whole(self, f0_S1T: Tensor, generator: torch.Generator | None) -> Tensor:
        """Source [S, 1, N] of a whole pitch, with the draws of the released code."""
        slots, _, n_frames = f0_S1T.shape
        n_samples, device = n_frames * self._hop, f0_S1T.device
        torch.rand(slots, self._n_sines, generator=generator, device=device)  # initial phases
        noise_SNH = torch.randn(slots, n_samples, self._n_sines, generator=generator, device=device)
        torch.randn(slots, n_samples, 1, generator=generator, device=device)  # another noise
        hz_ST = F.pad(f0_S1T[:, 0], (0, 1))  # the phase stands still after the last middle
        begun_T = torch.arange(n_frames + 1, device=device) > 0
        phase_SH = hz_ST.new_zeros(slots, self._n_sines, dtype=torch.float64)
        cycles_SNH, _ = self.cycles(hz_ST, phase_SH, begun_T.expand(slots, -1))
        inside = slice(self._hop // 2, self._hop // 2 + n_samples)
        voiced_SN1 = self.voiced(F.pad(hz_ST, (1, 0)))
        return self.wave(cycles_SNH[:, inside], voiced_SN1[:, inside], noise_SNH)

    def cycles(self, hz_ST: Tensor, phase_SH: Tensor, begun_ST: Tensor) -> tuple[Tensor, Tensor]:
        """Cycles [S, N, H] from half a frame before each middle on, and those at the last middle.

        Until a stream has begun the phase stands still.
        """
        sines_H = torch.arange(1, self._n_sines + 1, device=hz_ST.device, dtype=torch.float64)
        per_sample_STH = hz_ST.double()[..., None] * sines_H / self._rate_hz % 1
        advance_STH = per_sample_STH * self._hop
        middles_STH = phase_SH[:, None] + advance_STH.cumsum(1)
        n_samples = torch.arange(self._hop, device=hz_ST.device, dtype=torch.float64)
        weight_N = (n_samples + 0.5) / self._hop - 1
        moving_STH = advance_STH * begun_ST[..., None]
        cycles_STNH = middles_STH[:, :, None] + weight_N[:, None] * moving_STH[:, :, None]
        return cycles_STNH.flatten(1, 2), middles_STH[:, -1] % 1

    def voiced(self, hz_ST: Tensor) -> Tensor:
        """Whether the voice sounds, [S, N, 1], between the middles of the frames."""
        voiced_ST = hz_ST > VOICED_HZ
        before_ST, after_ST = voiced_ST[:, :-1], voiced_ST[:, 1:]
        halves = torch.stack([before_ST, after_ST], -1)
        return halves.flatten(1).repeat_interleave(self._hop // 2, 1)[..., None].float()

    def _noise(self, place_SN: Tensor) -> Tensor:
        if self.training:  # so that no network learns the table by heart
            return torch.randn(*place_SN.shape, self._n_sines, device=place_SN.device)
        table_NH = noise_table(NOISE_S * self._rate_hz, self._n_sines, place_SN.device)
        return table_NH[place_SN % len(table_NH)]

    def wave(self, cycles_SNH: Tensor, voiced_SN1: Tensor, noise_SNH: Tensor) -> Tensor:
        """One waveform [S, 1, N] of all sines and noise."""
        sines_SNH = SINE_AMPLITUDE * (2 * math.pi * (cycles_SNH % 1)).float().sin()
        level_SN1 = VOICED_NOISE * voiced_SN1 + UNVOICED_NOISE * (1 - voiced_SN1)
        mixed_SNH = sines_SNH * voiced_SN1 + level_SN1 * noise_SNH
        weight_1H, bias = self.l_linear.weight, self.l_linear.bias
        summed_SN1 = (mixed_SNH * weight_1H[0]).sum(-1, keepdim=True)  # no product in bf16
        return torch.tanh(summed_SN1 + bias).mT
