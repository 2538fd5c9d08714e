"""Codes to the coarse rate of mel frames: a conformer that upsamples half way.

Tensor names and arithmetic are the published ones (docs/reference/decoder-format.md).
Shapes: B batch · N codes · L codes of look-ahead · T steps (codes, or frames after upsampling) ·
D width · H heads · K head width · P distances.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.flow.past import Past

CONFORMER_EPS = 1e-12


class UpsampleConformer(nn.Module):
    """Conformer at the code rate, upsampling, conformer at the frame rate."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.embed = InputLayer(config.width)
        self.pre_lookahead_layer = Lookahead(config.width, config.lookahead_codes)
        self.encoders = nn.ModuleList(ConformerLayer(config) for _ in range(config.n_layers))
        self.up_layer = Upsample(config.width, config.format.frames_per_code)
        self.up_embed = InputLayer(config.width)
        self.up_encoders = nn.ModuleList(ConformerLayer(config) for _ in range(config.n_up_layers))
        self.after_norm = nn.LayerNorm(config.width)

    def forward(self, x_BND: Tensor, known_BN: Tensor, codes: Past, frames: Past) -> Tensor:
        """Embedded codes with the look-ahead after them to [B, frames, D].

        Codes that are not `known` follow the end: the look-ahead sees zeros there.
        """
        x_BTD = self.pre_lookahead_layer(self.embed(x_BND) * known_BN[..., None], codes)
        for layer in self.encoders:
            x_BTD = layer(x_BTD, codes)
        x_BTD = self.up_embed(self.up_layer(x_BTD, frames))
        for layer in self.up_encoders:
            x_BTD = layer(x_BTD, frames)
        out_BTD: Tensor = self.after_norm(x_BTD)
        return out_BTD


class InputLayer(nn.Module):
    """Linear, layer norm, and the scale of the published positional encoding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.scale = math.sqrt(width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        out_BTD: Tensor = self.out(x_BTD) * self.scale
        return out_BTD


class Lookahead(nn.Module):
    """Mixes the next codes into each code: the only place that sees the future."""

    def __init__(self, width: int, n_future: int) -> None:
        super().__init__()
        self.n_future = n_future
        self.conv1 = nn.Conv1d(width, width, n_future + 1)
        self.conv2 = nn.Conv1d(width, width, 3)

    def forward(self, x_BND: Tensor, codes: Past) -> Tensor:
        """[B, N + L, D] to [B, N, D]."""
        h_BDN = F.leaky_relu(self.conv1(x_BND.mT))
        out_BND: Tensor = x_BND[:, : -self.n_future] + self.conv2(codes.extend(h_BDN, 2)).mT
        return out_BND


class Upsample(nn.Module):
    """Repeats each code `stride` times and smooths with a causal convolution."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(width, width, 2 * stride + 1)

    def forward(self, x_BND: Tensor, frames: Past) -> Tensor:
        """[B, N, D] to [B, N * stride, D]."""
        x_BDT = x_BND.mT.repeat_interleave(self.stride, dim=-1)
        out_BDT: Tensor = self.conv(frames.extend(x_BDT, 2 * self.stride))
        return out_BDT.mT


class ConformerLayer(nn.Module):
    """Pre-norm attention with relative positions, then a SiLU feed-forward."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.self_attn = RelativeAttention(config.width, config.n_heads)
        self.feed_forward = FeedForward(config.width, config.ffn_width)
        self.norm_mha = nn.LayerNorm(config.width, eps=CONFORMER_EPS)
        self.norm_ff = nn.LayerNorm(config.width, eps=CONFORMER_EPS)

    def forward(self, x_BTD: Tensor, past: Past) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        x_BTD = x_BTD + self.self_attn(self.norm_mha(x_BTD), past)
        out_BTD: Tensor = x_BTD + self.feed_forward(self.norm_ff(x_BTD))
        return out_BTD


class FeedForward(nn.Module):
    """Linear, SiLU, linear."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        out_BTD: Tensor = self.w_2(F.silu(self.w_1(x_BTD)))
        return out_BTD


class RelativeAttention(nn.Module):
    """Attention whose scores add content and distance, each with a learned bias on the query."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.linear_q, self.linear_k = nn.Linear(width, width), nn.Linear(width, width)
        self.linear_v, self.linear_out = nn.Linear(width, width), nn.Linear(width, width)
        self.linear_pos = nn.Linear(width, width, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(n_heads, width // n_heads))
        self.pos_bias_v = nn.Parameter(torch.empty(n_heads, width // n_heads))
        nn.init.xavier_uniform_(self.pos_bias_u)
        nn.init.xavier_uniform_(self.pos_bias_v)

    def forward(self, x_BTD: Tensor, past: Past) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        q_BHTK = self._heads(self.linear_q(x_BTD))
        p_HPK = self._heads(past.positions(self.linear_pos))
        mixed_BHTK = past.attend(
            q_BHTK + self.pos_bias_u[:, None],
            self._heads(self.linear_k(x_BTD)),
            self._heads(self.linear_v(x_BTD)),
            (q_BHTK + self.pos_bias_v[:, None]) @ p_HPK.mT,
        )
        out_BTD: Tensor = self.linear_out(mixed_BHTK.transpose(1, 2).flatten(2))
        return out_BTD

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.n_heads, -1).transpose(-3, -2)
