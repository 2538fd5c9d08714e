"""What a model costs before any memory is taken: tensors, parameters, optimizer, KV cache.

Everything is counted on the meta device from the config alone.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from moss_speech.lm.config import LMConfig
from moss_speech.lm.model import LayerSplitLM, channel_parameters

Precision = Literal["fp32", "bf16"]
_BYTES: dict[Precision, int] = {"fp32": 4, "bf16": 2}
_MASTER_BYTES = 12
"""AdamW in mixed precision: float32 master weight and two moments."""
_ADAM_BYTES = 8
"""AdamW in full precision: two moments."""


@dataclass(frozen=True)
class StagePlan:
    """Memory of one training stage on each of its GPUs, in bytes."""

    stage: str
    trainable: int
    weights_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes_per_row: int
    """With activation checkpointing: one residual stream a layer and the widest layer's inside."""
    rows_that_fit: int | None
    """Grid rows in one pass of one GPU; None without a GPU's size."""


@dataclass(frozen=True)
class LMPlan:
    """What one model is made of."""

    tensors: int
    parameters: int
    kv_bytes_per_row: int
    stages: tuple[StagePlan, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `moss-speech plan --json`."""
        return asdict(self)


def kv_bytes_per_row(config: LMConfig, precision: Precision) -> int:
    """Cache of one grid row: key and value in every layer of trunk and both tails."""
    layers = config.num_shared_layers + 2 * config.num_modality_layers
    return layers * 2 * config.num_key_value_heads * config.head_dim * _BYTES[precision]


def _activations(config: LMConfig, precision: Precision) -> int:
    layers = config.num_shared_layers + 2 * config.num_modality_layers
    inside = 4 * config.hidden_size + 3 * config.intermediate_size
    return (layers * config.hidden_size + inside) * _BYTES[precision]


def plan_lm(
    config: LMConfig, precision: Precision, n_gpus: int, gpu_bytes: int | None = None
) -> LMPlan:
    """Count one model and its stages, fully sharded over `n_gpus`."""
    if n_gpus < 1:
        raise ValueError(f"n_gpus is {n_gpus}, must be at least 1")
    with torch.device("meta"):
        model = LayerSplitLM(config)
    total = sum(w.numel() for w in model.parameters())
    speech = sum(w.numel() for w in channel_parameters(model, "audio").values())
    stages = {"pretrain_frozen": speech, "pretrain_joint": total, "finetune": total}
    per_row = _activations(config, precision)

    def stage(name: str, trainable: int) -> StagePlan:
        weights = total * _BYTES[precision] // n_gpus
        gradients = trainable * _BYTES[precision] // n_gpus
        state = _MASTER_BYTES if precision == "bf16" else _ADAM_BYTES
        optimizer = trainable * state // n_gpus
        left = None if gpu_bytes is None else gpu_bytes - weights - gradients - optimizer
        rows = None if left is None else max(0, left // per_row)
        return StagePlan(name, trainable, weights, gradients, optimizer, per_row, rows)

    return LMPlan(
        tensors=len(model.state_dict()),
        parameters=total,
        kv_bytes_per_row=kv_bytes_per_row(config, precision),
        stages=tuple(stage(name, trainable) for name, trainable in stages.items()),
    )


PUBLISHED_CONFIG = LMConfig.from_json(
    {
        "vocab_size": 151680,
        "audio_vocab_size": 16512,
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_shared_layers": 32,
        "num_modality_layers": 4,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 40960,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
    },
    "the published config",
)
"""The released model (docs/reference/format.md section 1)."""
