"""What each step of the flow network sees of the others, and how far away it takes them to be.

Steps come in chunks: a step sees its own chunk whole, `context` steps before it, and the pinned
steps at the beginning (the voice). Where steps between the voice and the context are hidden, the
voice is taken to end where the context begins, so no distance is longer than training showed.
Shapes: T steps, first as the one that looks, then as the one that is seen.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class View:
    """Masks and distances of one rate (codes, or frames with everything times four)."""

    chunk: int
    """Steps that see each other both ways; 0 for all."""
    context: int | None = None
    """Steps in view before the own chunk, whole chunks; None for all."""
    pinned: int = 0
    """Steps at the beginning that stay in view."""

    def at_rate(self, factor: int) -> "View":
        """The same view at a rate that is `factor` times as high."""
        context = None if self.context is None else self.context * factor
        return View(self.chunk * factor, context, self.pinned * factor)

    def seen(self, n_steps: int) -> Tensor | None:
        """True [T, T] where a step sees another; None if all see all."""
        if self.chunk == 0:
            return None
        step_T = torch.arange(n_steps)
        start_T1 = (step_T // self.chunk * self.chunk)[:, None]
        seen_TT = step_T < start_T1 + self.chunk
        if self.context is not None:
            seen_TT = seen_TT & ((step_T >= start_T1 - self.context) | (step_T < self.pinned))
        return seen_TT

    def distance(self, n_steps: int) -> Tensor:
        """How many steps [T, T] each one lies before the one that looks; negative is after."""
        step_T = torch.arange(n_steps)
        distance_TT = step_T[:, None] - step_T
        if self.context is None or self.chunk == 0:
            return distance_TT
        start_T = step_T // self.chunk * self.chunk
        hidden_T1 = (start_T - self.context - self.pinned).clamp(min=0)[:, None]
        return torch.where(step_T < self.pinned, distance_TT - hidden_T1, distance_TT)


def pinned_codes(n_voice: int, chunk: int, lookahead: int) -> int:
    """Codes of a voice that nothing said later can change: whole chunks with their look-ahead."""
    return 0 if chunk == 0 else max(0, n_voice - lookahead) // chunk * chunk
