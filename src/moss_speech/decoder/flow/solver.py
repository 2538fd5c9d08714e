"""Flow matching: the defined noise, the loss that trains it, the Euler steps that solve it.

Shapes: B batch · M mel bands · T frames.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from moss_speech.decoder.flow.estimator import Conditions, Estimator
from moss_speech.decoder.flow.past import Past

SIGMA_MIN = 1e-6
NOISE_SEED = 0
_KEPT_BLOCKS = 16


@lru_cache(maxsize=_KEPT_BLOCKS)
def noise_block(n_mels: int, n_frames: int, block: int) -> Tensor:
    """Normal numbers [M, T] of one block; block 0 is the published start of every decode."""
    generator = torch.Generator().manual_seed(NOISE_SEED + block)
    return torch.randn(1, n_mels, n_frames, generator=generator)[0]


def noise(n_mels: int, block_frames: int, start: int, n_frames: int) -> Tensor:
    """The noise [M, T] of `n_frames` frames from `start` on, the voice's frames counted.

    Past the published block a new one follows every `block_frames`, drawn from the next seed.
    """
    end = start + n_frames
    parts = []
    for block in range(start // block_frames, (end - 1) // block_frames + 1):
        begin = block * block_frames
        values_MT = noise_block(n_mels, block_frames, block)
        parts.append(values_MT[:, max(start - begin, 0) : end - begin])
    return torch.cat(parts, -1)


def flow_matching_loss(
    estimator: Estimator,
    target_BMT: Tensor,
    given: Conditions,
    unconditional_share: float,
    past: Past,
) -> Tensor:
    """Mean squared error of the velocity from noise to target, at random times."""
    n, device = target_BMT.shape[0], target_BMT.device
    time_B = 1 - torch.cos(torch.rand(n, device=device) * (math.pi / 2))
    noise_BMT = torch.randn_like(target_BMT)
    at_B11 = time_B[:, None, None]
    x_BMT = (1 - (1 - SIGMA_MIN) * at_B11) * noise_BMT + at_B11 * target_BMT
    wanted_BMT = target_BMT - (1 - SIGMA_MIN) * noise_BMT
    kept_B = torch.rand(n, device=device) >= unconditional_share
    error_BMT = estimator(x_BMT, given.keep(kept_B), time_B, past) - wanted_BMT
    loss: Tensor = error_BMT.square().mean()
    return loss


def solve(
    estimator: Estimator,
    noise_BMT: Tensor,
    given: Conditions,
    guidance: float,
    pasts: Sequence[Past],
) -> Tensor:
    """Euler steps on the published cosine grid from noise to mel [B, M, T], one a past."""
    grid = (1 - torch.cos(torch.linspace(0, 1, len(pasts) + 1) * (math.pi / 2))).tolist()
    both, x_BMT = given.with_unconditional(), noise_BMT
    for (now, after), past in zip(pairwise(grid), pasts, strict=True):
        twice_BMT = torch.cat([x_BMT, x_BMT])
        v_BMT = estimator(twice_BMT, both, twice_BMT.new_full((len(twice_BMT),), now), past)
        conditional_BMT, free_BMT = v_BMT.chunk(2)
        x_BMT = x_BMT + (after - now) * ((1 + guidance) * conditional_BMT - guidance * free_BMT)
    return x_BMT
