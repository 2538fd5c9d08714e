"""HiFT's residual blocks: pairs of convolutions, each behind a Snake.

Shapes: S slots · C channels · N steps.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from moss_speech.decoder.vocoder.signals import Run, Signal, convolve, left_of
from moss_speech.params.decoder import HiftShape

SNAKE_FLOOR = 1e-9


class ResBlock(nn.Module):
    """One pair of convolutions a dilation: x + plain(snake(dilated(snake(x))))."""

    def __init__(self, config: HiftShape, width: int, kernel: int) -> None:
        super().__init__()
        self._ahead = None if config.lookahead_frames is None else 0
        dilations = config.dilations
        self.convs1 = nn.ModuleList(
            weight_norm(nn.Conv1d(width, width, kernel, dilation=d)) for d in dilations
        )
        self.convs2 = nn.ModuleList(weight_norm(nn.Conv1d(width, width, kernel)) for _ in dilations)
        self.activations1 = nn.ModuleList(Snake(width) for _ in dilations)
        self.activations2 = nn.ModuleList(Snake(width) for _ in dilations)

    def forward(self, x: Signal, run: Run) -> Signal:
        """[S, C, N] to [S, C, N]."""
        for i, conv in enumerate(self.convs1):
            made = self._behind(self.activations1[i], conv, x, run)
            made = self._behind(self.activations2[i], self.convs2[i], made, run)
            x, made = run.align(x, made)
            x = x + made
        return x

    def _behind(self, snake: nn.Module, conv: nn.Module, x: Signal, run: Run) -> Signal:
        assert isinstance(conv, nn.Conv1d)
        x = replace(x, values_SCN=snake(x.values_SCN))
        return convolve(conv, x, run, left_of(conv, self._ahead))


class Snake(nn.Module):
    """x + sin(a x)^2 / a, with one learned a a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(width))

    def forward(self, x_SCN: Tensor) -> Tensor:
        """[S, C, N] to [S, C, N]."""
        alpha_C1 = self.alpha[:, None]
        return x_SCN + (alpha_C1 * x_SCN).sin().square() / (alpha_C1 + SNAKE_FLOOR)
