"""The published model counted without its weights; the count against a real training step."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from moss_speech.lm.layers import Layer
from moss_speech.lm.model import LayerSplitLM, channel_parameters
from moss_speech.lm.plan import (
    PUBLISHED_CONFIG,
    LMPlan,
    Machine,
    StageRun,
    layer_bytes_per_row,
    plan_lm,
)
from tests.lm.small import random_rows, small_config, small_model

RUNS = {
    "pretrain_frozen": StageRun("bf16", 14_336, 153),
    "pretrain_joint": StageRun("bf16", 14_336, 195),
    "finetune": StageRun("bf16", 10_240, 8),
}


def published() -> LMPlan:
    return plan_lm(PUBLISHED_CONFIG, Machine(64, 80 * 2**30), RUNS)


def released_tensors() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the released model, from docs/reference/format.md section 2."""
    width, inner, queries, keys = 4096, 12288, 32 * 128, 8 * 128
    layer = {
        "self_attn.q_proj": (queries, width),
        "self_attn.k_proj": (keys, width),
        "self_attn.v_proj": (keys, width),
        "self_attn.o_proj": (width, queries),
        "self_attn.q_norm": (128,),
        "self_attn.k_norm": (128,),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
        "input_layernorm": (width,),
        "post_attention_layernorm": (width,),
    }
    names: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (151680, width),
        "model.audio_embed.weight": (16512, width),
        "model.text_norm.weight": (width,),
        "model.audio_norm.weight": (width,),
        "text_lm_head.weight": (151680, width),
        "audio_lm_head.weight": (16512, width),
    }
    for block, depth in (("shared", 32), ("text", 4), ("audio", 4)):
        for index in range(depth):
            prefix = f"model.{block}_block.layers.{index}"
            names |= {f"{prefix}.{part}.weight": shape for part, shape in layer.items()}
    return names


def test_published_config_has_the_446_released_names_and_shapes() -> None:
    with torch.device("meta"):
        model = LayerSplitLM(PUBLISHED_CONFIG)
    have = {name: tuple(w.shape) for name, w in model.state_dict().items()}
    assert have == released_tensors()
    plan = published()
    assert (plan.tensors, plan.parameters) == (446, 9_095_694_336)


def test_published_stages_need_what_their_trained_weights_need() -> None:
    plan = published()
    frozen, joint, finetune = plan.stages
    assert plan.kv_bytes_per_row == 163_840
    assert frozen.trainable == 4 * 192_946_432 + 2 * 16512 * 4096 + 4096
    assert joint.trainable == finetune.trainable == plan.parameters
    assert frozen.optimizer_bytes == frozen.trainable * 12 // 64
    assert frozen.gathered_bytes == 151680 * 4096 * 2
    assert joint.packed_rows_that_fit > 0 and frozen.activation_bytes < joint.activation_bytes
    assert [round(s.step_tokens / 1e5) for s in plan.stages] == [22, 28, 1]
    assert finetune.passes == 1


def test_sessions_fill_what_the_weights_leave() -> None:
    serving = published().serving
    session_bytes = serving.kv_bytes_per_row * serving.session_rows
    left = 80 * 2**30 - serving.weights_bytes - serving.sessions_that_fit * session_bytes
    assert serving.weights_bytes == 2 * 9_095_694_336
    assert 0 <= left < session_bytes


def test_plan_for_no_gpu_is_refused_and_a_small_gpu_fits_nothing() -> None:
    with pytest.raises(ValueError, match="n_gpus is 0"):
        Machine(0, 10**9)
    stage = plan_lm(PUBLISHED_CONFIG, Machine(1, 10**10), RUNS).stages[0]
    assert stage.packed_rows_that_fit == 0 and stage.passes is None


@pytest.mark.parametrize("stage", ["pretrain_frozen", "pretrain_joint"])
def test_counted_bytes_are_those_of_a_real_step(stage: str) -> None:
    model = small_model()
    learning = list(model.parameters())
    if stage == "pretrain_frozen":
        learning = list(channel_parameters(model, "audio").values())
        model.requires_grad_(False)
        for weight in learning:
            weight.requires_grad_(True)
    optimizer = AdamW(learning, lr=1e-3)
    logits = model(random_rows(model.config, 30, 1)[None])
    (logits.text_BTV.square().mean() + logits.audio_BTV.square().mean()).backward()
    optimizer.step()
    plan = plan_lm(model.config, Machine(1, 10**9), {stage: StageRun("fp32", 30, 1)}).stages[0]
    gradients = [w.grad for w in model.parameters() if w.grad is not None]
    moments = [s[k] for s in optimizer.state.values() for k in ("exp_avg", "exp_avg_sq")]
    assert plan.weights_bytes == sum(w.nbytes for w in model.parameters())
    assert plan.gradient_bytes == sum(g.nbytes for g in gradients)
    assert plan.optimizer_bytes == sum(m.nbytes for m in moments)


def kept_bytes(layer: nn.Module, rows: int, precision: str) -> int:
    """Bytes that autograd holds for the backward pass of a layer, weights left out."""
    config = small_config(hidden_size=96, intermediate_size=288, head_dim=24)
    held: dict[int, int] = {}
    weights = {w.untyped_storage().data_ptr() for w in layer.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        is_cast_weight = tensor.shape[-2:] in shapes
        if storage.data_ptr() not in weights and not is_cast_weight:
            held[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []
    shapes = {s for w in layer.parameters() if w.ndim == 2 for s in (w.shape, w.T.shape)}
    model = LayerSplitLM(config)
    x_BTD = torch.randn(1, rows, config.hidden_size, requires_grad=True)
    place = model.place(random_rows(config, rows, 0)[None])
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        layer(x_BTD, place, None)
    return sum(held.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_counted_inside_of_a_layer_is_within_a_third_of_the_real_one(precision: str) -> None:
    config = small_config(hidden_size=96, intermediate_size=288, head_dim=24)
    rows = 500
    real = kept_bytes(Layer(config), rows, precision) / rows
    counted = layer_bytes_per_row(config, "bf16" if precision == "bf16" else "fp32")
    assert 0.75 < real / counted < 1.33
