"""Numbers that every training run has."""

from typing import Literal

from pydantic import Field

from moss_speech.params.base import Params


class FitParams(Params):
    """One training run: length, optimiser, checkpoints."""

    steps: int = Field(ge=1)
    lr: float = Field(gt=0, le=0.1)
    final_lr_ratio: float = Field(ge=0, le=1)
    """Last learning rate as a part of the peak."""
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0, le=1)
    beta2: float = Field(gt=0, lt=1)
    clip_norm: float = Field(gt=0)
    average_decay: float = Field(ge=0, lt=1)
    """Decay of the running average of weights that is kept as the result; 0 keeps the last."""
    precision: Literal["fp32", "bf16"]
    checkpoint_steps: int = Field(ge=1)
    """Steps between checkpoints for resuming."""
    log_steps: int = Field(ge=1)
    """Steps between points of a curve."""
