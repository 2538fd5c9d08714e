"""AdamW with weight decay on matrices only, linear warm-up, cosine decay (paper section 4)."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from moss_speech.params.fit import FitParams


def warmup_cosine(step: int, warmup_steps: int, steps: int, final: float) -> float:
    """Factor on the peak rate: linear from 0, then cosine down to `final`."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


@dataclass(frozen=True)
class Learning:
    """Weights with a rate of their own: warm-up and cosine from `start_step` to the run's end."""

    weights: list[nn.Parameter]
    start_step: int = 0
    lr_ratio: float = 1.0

    def factor(self, p: FitParams) -> Callable[[int], float]:
        """Step to factor on the run's peak rate; 0 before the start."""

        def at(step: int) -> float:
            if step < self.start_step:
                return 0.0
            own, left = step - self.start_step, p.steps - self.start_step
            return self.lr_ratio * warmup_cosine(own, p.warmup_steps, left, p.final_lr_ratio)

        return at


def adamw_groups(learning: Sequence[Learning], p: FitParams) -> tuple[Optimizer, LambdaLR]:
    """Optimizer and per-step schedule; state exists only for weights that had a gradient."""
    groups, factors = [], []
    for part in learning:
        for matrices, decay in ((True, p.weight_decay), (False, 0.0)):
            weights = [w for w in part.weights if (w.ndim >= 2) == matrices]
            groups.append({"params": weights, "weight_decay": decay})
            factors.append(part.factor(p))
    optimizer = AdamW(groups, lr=p.lr, betas=(0.9, p.beta2), fused=True)
    return optimizer, LambdaLR(optimizer, factors)


def adamw(parameters: Iterable[nn.Parameter], p: FitParams) -> tuple[Optimizer, LambdaLR]:
    """Optimizer and per-step schedule over the parameters that need a gradient."""
    return adamw_groups([Learning([w for w in parameters if w.requires_grad])], p)
