"""What a layer knows of the steps before its input, when a whole sequence is computed at once.

Every layer asks a `Past` for the steps before and for attention; `Whole` here answers from the
sequence itself, `memory.Remembered` from what earlier chunks left. The layers cannot tell.
Shapes: B batch · C channels · T steps · H heads · K head width · P distances · D width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.flow.view import View


class Past(Protocol):
    """Steps before the input of a layer; layers ask in the same order in every call."""

    def extend(self, x_BCT: Tensor, n_before: int) -> Tensor:
        """The input with so many steps before it; zeros before the beginning."""

    def attend(
        self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, by_distance_BHTP: Tensor | None
    ) -> Tensor:
        """Each step's mix of what it sees; scores by distance are added if there are any."""

    def positions(self, project: nn.Linear) -> Tensor:
        """Projected sinusoids [P, D] of all distances, from the farthest to the nearest."""


class Whole:
    """The past of a sequence that begins at the beginning."""

    def __init__(self, view: View, n_steps: int, device: torch.device) -> None:
        seen_TT, distance_TT = view.seen(n_steps), view.distance(n_steps)
        self._seen_TT = None if seen_TT is None else seen_TT.to(device)
        self._farthest, self._nearest = int(distance_TT.max()), int(distance_TT.min())
        self._place_TT = (self._farthest - distance_TT).to(device)

    def extend(self, x_BCT: Tensor, n_before: int) -> Tensor:
        """The input after zeros."""
        return F.pad(x_BCT, (n_before, 0))

    def attend(
        self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, by_distance_BHTP: Tensor | None
    ) -> Tensor:
        """Attention under the view's mask."""
        bias = self._seen_TT
        if by_distance_BHTP is not None:
            place = self._place_TT.expand(*by_distance_BHTP.shape[:2], -1, -1)
            bias = by_distance_BHTP.gather(-1, place) / math.sqrt(q_BHTK.shape[-1])
            if self._seen_TT is not None:
                bias = bias.masked_fill(~self._seen_TT, -math.inf)
        return F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, attn_mask=bias)

    def positions(self, project: nn.Linear) -> Tensor:
        """Projected sinusoids of the sequence's distances."""
        table_PD = relative_positions(self._farthest, self._nearest, project.in_features)
        out_PD: Tensor = project(table_PD.to(project.weight))
        return out_PD


def relative_positions(farthest: int, nearest: int, width: int) -> Tensor:
    """Sinusoids [P, D] of the distances `farthest` down to `nearest`; sine and cosine alternate."""
    distance_P1 = torch.arange(farthest, nearest - 1, -1.0)[:, None]
    rate_K = torch.exp(torch.arange(0, width, 2.0) * (-math.log(10000.0) / width))
    angle_PK = distance_P1 * rate_K
    return torch.stack([angle_PK.sin(), angle_PK.cos()], -1).flatten(1)


@dataclass(frozen=True)
class Pasts:
    """The pasts of a flow network's parts."""

    codes: Past
    frames: Past
    steps: Sequence[Past]
    """Of the estimator at each Euler step; none speaks the coarse mel."""
