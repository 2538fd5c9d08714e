"""Qwen3 layers: RMSNorm, rotary positions, grouped-query attention with QK-norm, SwiGLU.

Operation order follows docs/reference/format.md section 2, so that fp32 results on CPU equal
those of transformers bit for bit.
Shapes: B batch, T rows, D width, N query heads, K key-value heads, H head width, S seen rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moss_speech.lm.config import LMConfig


class RMSNorm(nn.Module):
    """Root-mean-square norm: statistics in float32, scaled in the input's type."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Normalise the last axis."""
        return self.weight * normalised(x_BTD, self.eps)


def normalised(x: Tensor, eps: float) -> Tensor:
    """The last axis divided by its root mean square, in the input's type."""
    return F.rms_norm(x.float(), (x.shape[-1],), eps=eps).to(x.dtype)


@dataclass(frozen=True)
class Place:
    """Where the rows of one pass stand, and what each may see."""

    cos_B1TH: Tensor
    sin_B1TH: Tensor
    mask_B1TS: Tensor | None
    """Added to the attention scores; None means causal over the rows of this pass."""


@dataclass(frozen=True)
class LayerCache:
    """Keys and values of one layer for one conversation, and where the next rows go."""

    keys_KSH: Tensor
    values_KSH: Tensor
    start: int

    def extend(self, keys_1KTH: Tensor, values_1KTH: Tensor) -> tuple[Tensor, Tensor]:
        """Write new rows and return all rows up to them."""
        end = self.start + keys_1KTH.shape[2]
        self.keys_KSH[:, self.start : end] = keys_1KTH[0]
        self.values_KSH[:, self.start : end] = values_1KTH[0]
        return self.keys_KSH[None, :, :end], self.values_KSH[None, :, :end]


def rotary(positions_BT: Tensor, config: LMConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the rotary angles, [B, 1, T, H]; frequencies are computed on CPU."""
    even_H = torch.arange(0, config.head_dim, 2, dtype=torch.float)
    frequency_H = 1.0 / (config.rope_theta ** (even_H / config.head_dim))
    angle_BTH = positions_BT[..., None].float() * frequency_H.to(positions_BT.device)
    angle_B1TH = torch.cat((angle_BTH, angle_BTH), dim=-1).unsqueeze(1)
    return angle_B1TH.cos().to(dtype), angle_B1TH.sin().to(dtype)


def _rotate(x_BNTH: Tensor, place: Place) -> Tensor:
    first, second = x_BNTH.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x_BNTH * place.cos_B1TH) + (turned * place.sin_B1TH)


def _attend(q_BNTH: Tensor, k_BKSH: Tensor, v_BKSH: Tensor, mask_B1TS: Tensor | None) -> Tensor:
    """Attention of N query heads over K key-value heads, [B, T, N * H]."""
    n_batch, n_heads, n_rows, width = q_BNTH.shape
    groups = n_heads // k_BKSH.shape[1]
    if n_rows == 1:  # one row a sequence: the heads of a group become its rows, nothing is copied
        q_BNTH = q_BNTH.view(n_batch, -1, groups, width)
    elif groups > 1:
        k_BKSH = k_BKSH.repeat_interleave(groups, dim=1)
        v_BKSH = v_BKSH.repeat_interleave(groups, dim=1)
    causal = mask_B1TS is None and n_rows > 1
    out = F.scaled_dot_product_attention(
        q_BNTH, k_BKSH, v_BKSH, attn_mask=mask_B1TS, is_causal=causal, scale=width**-0.5
    )
    out_BNTH = out.reshape(n_batch, n_heads, n_rows, width)
    return out_BNTH.transpose(1, 2).reshape(n_batch, n_rows, n_heads * width)


class Attention(nn.Module):
    """Grouped-query attention with a norm on each head's query and key."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        width, head = config.hidden_size, config.head_dim
        self.head_dim = head
        self.q_proj = nn.Linear(width, config.num_attention_heads * head, bias=False)
        self.k_proj = nn.Linear(width, config.num_key_value_heads * head, bias=False)
        self.v_proj = nn.Linear(width, config.num_key_value_heads * head, bias=False)
        self.o_proj = nn.Linear(config.num_attention_heads * head, width, bias=False)
        self.q_norm = RMSNorm(head, config.rms_norm_eps)
        self.k_norm = RMSNorm(head, config.rms_norm_eps)

    def forward(self, x_BTD: Tensor, place: Place, cache: LayerCache | None) -> Tensor:
        """Mix rows of [B, T, D] as `place` allows."""
        heads = (*x_BTD.shape[:2], -1, self.head_dim)
        q_BNTH = _rotate(self.q_norm(self.q_proj(x_BTD).view(heads)).transpose(1, 2), place)
        k_BKTH = _rotate(self.k_norm(self.k_proj(x_BTD).view(heads)).transpose(1, 2), place)
        v_BKTH = self.v_proj(x_BTD).view(heads).transpose(1, 2)
        if cache is not None:
            k_BKTH, v_BKTH = cache.extend(k_BKTH, v_BKTH)
        out: Tensor = self.o_proj(_attend(q_BNTH, k_BKTH, v_BKTH, place.mask_B1TS))
        return out


class MLP(nn.Module):
    """SwiGLU feed-forward part."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Transform each row of [B, T, D] by itself."""
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))
        return out


class Layer(nn.Module):
    """One pre-norm decoder layer."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.dropout = 0.0
        """Dropout of what is added to the residual stream, in training only."""

    def forward(self, x_BTD: Tensor, place: Place, cache: LayerCache | None) -> Tensor:
        """Add attention, then the feed-forward part; the input stays untouched."""
        mixed = self.self_attn(self.input_layernorm(x_BTD), place, cache)
        x_BTD = x_BTD + F.dropout(mixed, self.dropout, self.training)
        changed = self.mlp(self.post_attention_layernorm(x_BTD))
        return x_BTD + F.dropout(changed, self.dropout, self.training)


def run_layer(layer: nn.Module, x_BTD: Tensor, place: Place, cache: LayerCache | None) -> Tensor:
    """Run one layer as it is."""
    out_BTD: Tensor = layer(x_BTD, place, cache)
    return out_BTD


class Stack(nn.Module):
    """Layers in a row; may be empty."""

    def __init__(self, config: LMConfig, n_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(n_layers))
        self.run_layer: Callable[..., Tensor] = run_layer
        """How each layer is run; training may recompute or compile it."""

    def forward(self, x_BTD: Tensor, place: Place, caches: list[LayerCache] | None) -> Tensor:
        """Run all layers over [B, T, D]."""
        for index, layer in enumerate(self.layers):
            x_BTD = self.run_layer(layer, x_BTD, place, caches[index] if caches else None)
        return x_BTD
