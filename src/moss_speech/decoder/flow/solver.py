"""Flow matching: the fixed noise, the loss that trains it, the Euler steps that solve it.

Shapes: B batch · M mel bands · T frames.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from moss_speech.decoder.flow.estimator import Estimator

SIGMA_MIN = 1e-6
NOISE_SEED = 0


@dataclass(frozen=True)
class Conditions:
    """What the flow is given beside noise and time."""

    mu_BMT: Tensor
    """Coarse mel of the codes."""
    speaker_BM: Tensor
    prompt_BMT: Tensor
    """Mel of the voice prompt at the beginning, zeros after it."""

    def keep(self, kept_B: Tensor) -> "Conditions":
        """The same with all conditions zero where `kept_B` is False."""
        kept_B1 = kept_B.to(self.speaker_BM.dtype)[:, None]
        return Conditions(
            self.mu_BMT * kept_B1[:, :, None],
            self.speaker_BM * kept_B1,
            self.prompt_BMT * kept_B1[:, :, None],
        )

    def with_unconditional(self) -> "Conditions":
        """Twice the batch: as it is, then without conditions."""
        both = (
            torch.cat([x, torch.zeros_like(x)])
            for x in (self.mu_BMT, self.speaker_BM, self.prompt_BMT)
        )
        return Conditions(*both)


def fixed_noise(n_mels: int, n_frames: int) -> Tensor:
    """The published start of every decode [1, M, T]: normal numbers of seed 0, drawn once."""
    generator = torch.Generator().manual_seed(NOISE_SEED)
    return torch.randn(1, n_mels, n_frames, generator=generator)


def velocity(estimator: Estimator, x_BMT: Tensor, given: Conditions, time_B: Tensor) -> Tensor:
    """The estimator's velocity [B, M, T]."""
    out_BMT: Tensor = estimator(x_BMT, given.mu_BMT, given.speaker_BM, given.prompt_BMT, time_B)
    return out_BMT


def flow_matching_loss(
    estimator: Estimator, target_BMT: Tensor, given: Conditions, unconditional_share: float
) -> Tensor:
    """Mean squared error of the velocity from noise to target, at random times."""
    n, device = target_BMT.shape[0], target_BMT.device
    time_B = 1 - torch.cos(torch.rand(n, device=device) * (math.pi / 2))
    noise_BMT = torch.randn_like(target_BMT)
    at_B11 = time_B[:, None, None]
    x_BMT = (1 - (1 - SIGMA_MIN) * at_B11) * noise_BMT + at_B11 * target_BMT
    wanted_BMT = target_BMT - (1 - SIGMA_MIN) * noise_BMT
    kept_B = torch.rand(n, device=device) >= unconditional_share
    error_BMT = velocity(estimator, x_BMT, given.keep(kept_B), time_B) - wanted_BMT
    return error_BMT.square().mean()


def solve(
    estimator: Estimator, noise_BMT: Tensor, given: Conditions, steps: int, guidance: float
) -> Tensor:
    """Euler steps on the published cosine grid from noise to mel [B, M, T]."""
    grid = (1 - torch.cos(torch.linspace(0, 1, steps + 1) * (math.pi / 2))).tolist()
    both, x_BMT = given.with_unconditional(), noise_BMT
    for now, after in pairwise(grid):
        twice_BMT = torch.cat([x_BMT, x_BMT])
        v_BMT = velocity(estimator, twice_BMT, both, twice_BMT.new_full((len(twice_BMT),), now))
        conditional_BMT, free_BMT = v_BMT.chunk(2)
        x_BMT = x_BMT + (after - now) * ((1 + guidance) * conditional_BMT - guidance * free_BMT)
    return x_BMT
