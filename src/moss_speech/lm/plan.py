"""What a model costs before any memory is taken: weights, gradients, optimizer, activations, cache.

Everything is counted on the meta device from the config alone, for weights sharded over all GPUs
and layers whose inside is computed again in the backward pass (activation checkpointing).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from moss_speech.lm.config import LMConfig
from moss_speech.lm.layers import Layer
from moss_speech.lm.model import LayerSplitLM, channel_parameters
from moss_speech.lm.quantize import hollow

Precision = Literal["fp32", "bf16"]
_BYTES: dict[Precision, int] = {"fp32": 4, "bf16": 2}
_OPTIMIZER_BYTES: dict[Precision, int] = {"fp32": 8, "bf16": 12}
"""AdamW's two moments in float32; beside bfloat16 weights a float32 master weight as well."""
PAPER_STEP_TOKENS = {
    "pretrain_frozen": 2_200_000,
    "pretrain_joint": 2_800_000,
    "finetune": 82_000,
}
"""Grid rows a step in the paper; of its fine-tuning 8 packed rows of 10,240 are known."""


@dataclass(frozen=True)
class Machine:
    """The GPUs that share a model."""

    n_gpus: int
    gpu_bytes: int

    def __post_init__(self) -> None:
        if self.n_gpus < 1:
            raise ValueError(f"n_gpus is {self.n_gpus}, must be at least 1")


@dataclass(frozen=True)
class StageRun:
    """What one training stage asks for."""

    precision: Precision
    context_rows: int
    """Grid rows of a packed row."""
    packed_rows: int
    """Packed rows of an optimizer step."""


@dataclass(frozen=True)
class StagePlan:
    """Memory of one training stage on each of its GPUs, in bytes."""

    stage: str
    parameters: int
    trainable: int
    weights_bytes: int
    gathered_bytes: int
    """The largest part that is whole on each GPU while it is computed; 0 on a single GPU."""
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    """Of one packed row: a residual stream a layer, one layer's inside, the attention mask."""
    packed_rows_that_fit: int
    step_tokens: int
    """Grid rows of an optimizer step as params.yaml asks for it."""
    pass_tokens: int
    """Grid rows that all GPUs compute at once."""

    @property
    def passes(self) -> int | None:
        """Passes of a step; None if not even one packed row fits."""
        return math.ceil(self.step_tokens / self.pass_tokens) if self.pass_tokens else None


@dataclass(frozen=True)
class ServingPlan:
    """Memory of serving on one GPU in bfloat16, in bytes."""

    weights_bytes: int
    kv_bytes_per_row: int
    session_rows: int
    """Longest conversation of the model."""
    sessions_that_fit: int


@dataclass(frozen=True)
class LMPlan:
    """What one model is made of and what it needs."""

    tensors: int
    parameters: int
    kv_bytes_per_row: int
    stages: tuple[StagePlan, ...]
    serving: ServingPlan

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `moss-speech plan --json`."""
        return asdict(self)


def kv_bytes_per_row(config: LMConfig, precision: Precision) -> int:
    """Cache of one grid row: key and value in every layer of trunk and both tails."""
    layers = config.num_shared_layers + 2 * config.num_modality_layers
    return layers * 2 * config.num_key_value_heads * config.head_dim * _BYTES[precision]


def layer_bytes_per_row(config: LMConfig, precision: Precision) -> int:
    """What one layer keeps of a grid row for its backward pass; norms keep float32."""
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    width, inner = config.hidden_size, config.intermediate_size
    in_norms = 4 * width + 2 * queries + 2 * keys
    elsewhere = 3 * width + 5 * queries + 4 * inner
    return in_norms * _BYTES["fp32"] + elsewhere * _BYTES[precision]


def activation_bytes(config: LMConfig, run: StageRun, n_tails: int) -> int:
    """Activations of one packed row with checkpointing; chunks of logits come on top."""
    layers = config.num_shared_layers + n_tails * config.num_modality_layers
    streams = (layers + 1) * config.hidden_size * _BYTES[run.precision]
    per_row = streams + layer_bytes_per_row(config, run.precision)
    return run.context_rows * (per_row + run.context_rows * _BYTES[run.precision])


def plan_lm(config: LMConfig, machine: Machine, runs: Mapping[str, StageRun]) -> LMPlan:
    """Count one model, the training stages in `runs` and serving."""
    model = hollow(config, None)
    total = sum(w.numel() for w in model.parameters())
    weights, kv = total * _BYTES["bf16"], kv_bytes_per_row(config, "bf16")
    rows = config.max_position_embeddings
    sessions = max(0, machine.gpu_bytes - weights) // (kv * rows)
    return LMPlan(
        tensors=len(model.state_dict()),
        parameters=total,
        kv_bytes_per_row=kv,
        stages=tuple(_stage(name, run, model, machine) for name, run in runs.items()),
        serving=ServingPlan(weights, kv, rows, sessions),
    )


def _stage(name: str, run: StageRun, model: LayerSplitLM, machine: Machine) -> StagePlan:
    total = sum(w.numel() for w in model.parameters())
    speech = sum(w.numel() for w in channel_parameters(model, "audio").values())
    is_frozen = name == "pretrain_frozen"
    trainable, n_gpus, size = speech if is_frozen else total, machine.n_gpus, _BYTES[run.precision]
    weights, gradients = total * size // n_gpus, trainable * size // n_gpus
    optimizer = trainable * _OPTIMIZER_BYTES[run.precision] // n_gpus
    gathered = _largest_part(model) * size if n_gpus > 1 else 0
    per_packed_row = activation_bytes(model.config, run, n_tails=1 if is_frozen else 2)
    left = machine.gpu_bytes - weights - gathered - gradients - optimizer
    fit = max(0, left) // per_packed_row
    return StagePlan(
        stage=name,
        parameters=total,
        trainable=trainable,
        weights_bytes=weights,
        gathered_bytes=gathered,
        gradient_bytes=gradients,
        optimizer_bytes=optimizer,
        activation_bytes=per_packed_row,
        packed_rows_that_fit=fit,
        step_tokens=run.packed_rows * run.context_rows,
        pass_tokens=fit * n_gpus * run.context_rows,
    )


def _largest_part(model: LayerSplitLM) -> int:
    """Parameters of the largest layer, embedding or head."""
    layers = [m for m in model.modules() if isinstance(m, Layer)]
    sizes = [sum(w.numel() for w in layer.parameters()) for layer in layers]
    return max(*sizes, *(w.numel() for w in model.parameters()))


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
