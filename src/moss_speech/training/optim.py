"""AdamW with weight decay on matrices only, linear warm-up, cosine decay (paper section 4)."""

import math
from collections.abc import Iterable

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


def adamw(parameters: Iterable[nn.Parameter], p: FitParams) -> tuple[Optimizer, LambdaLR]:
    """Optimizer and per-step schedule over the parameters that need a gradient."""
    trainable = [w for w in parameters if w.requires_grad]
    groups = [
        {"params": [w for w in trainable if w.ndim >= 2], "weight_decay": p.weight_decay},
        {"params": [w for w in trainable if w.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=p.lr, betas=(0.9, p.beta2))

    def factor(step: int) -> float:
        return warmup_cosine(step, p.warmup_steps, p.steps, p.final_lr_ratio)

    return optimizer, LambdaLR(optimizer, factor)
