"""Codes to the coarse rate of mel frames: a conformer that upsamples half way.

Tensor names and arithmetic are the published ones (docs/reference/decoder-format.md).
Shapes: B batch · N codes · T steps (codes, or frames after upsampling) · D width · H heads ·
K head width · P relative positions (2T - 1).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.config import FlowConfig

CONFORMER_EPS = 1e-12


class UpsampleConformer(nn.Module):
    """Conformer at the code rate, upsampling, conformer at the frame rate."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.chunk_codes, self.stride = config.chunk_codes, config.format.frames_per_code
        self.embed = InputLayer(config.width)
        self.pre_lookahead_layer = Lookahead(config.width, config.lookahead_codes)
        self.encoders = nn.ModuleList(ConformerLayer(config) for _ in range(config.n_layers))
        self.up_layer = Upsample(config.width, self.stride)
        self.up_embed = InputLayer(config.width)
        self.up_encoders = nn.ModuleList(ConformerLayer(config) for _ in range(config.n_up_layers))
        self.after_norm = nn.LayerNorm(config.width)

    def forward(self, x_BND: Tensor, future_BLD: Tensor | None) -> Tensor:
        """Embedded codes to [B, frames, D]; `future` are the withheld codes after the last."""
        future_BLD = None if future_BLD is None else self.embed(future_BLD)
        x_BTD = self.pre_lookahead_layer(self.embed(x_BND), future_BLD)
        x_BTD = self._stack(self.encoders, x_BTD, self.chunk_codes)
        x_BTD = self.up_embed(self.up_layer(x_BTD))
        x_BTD = self._stack(self.up_encoders, x_BTD, self.chunk_codes * self.stride)
        out_BTD: Tensor = self.after_norm(x_BTD)
        return out_BTD

    @staticmethod
    def _stack(layers: nn.ModuleList, x_BTD: Tensor, chunk: int) -> Tensor:
        positions_PD = relative_positions(x_BTD.shape[1], x_BTD.shape[2]).to(x_BTD)
        hidden_TT = None if (seen_TT := chunk_mask(x_BTD.shape[1], chunk)) is None else ~seen_TT
        hidden_TT = None if hidden_TT is None else hidden_TT.to(x_BTD.device)
        for layer in layers:
            x_BTD = layer(x_BTD, positions_PD, hidden_TT)
        return x_BTD


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

    def forward(self, x_BND: Tensor, future_BLD: Tensor | None) -> Tensor:
        """[B, N, D] to [B, N, D]; without `future` the end is followed by zeros."""
        if future_BLD is None:
            future_BLD = x_BND.new_zeros(x_BND.shape[0], self.n_future, x_BND.shape[2])
        h_BDN = F.leaky_relu(self.conv1(torch.cat([x_BND, future_BLD], 1).mT))
        out_BND: Tensor = x_BND + self.conv2(F.pad(h_BDN, (2, 0))).mT
        return out_BND


class Upsample(nn.Module):
    """Repeats each code `stride` times and smooths with a causal convolution."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(width, width, 2 * stride + 1)

    def forward(self, x_BND: Tensor) -> Tensor:
        """[B, N, D] to [B, N * stride, D]."""
        x_BDT = x_BND.mT.repeat_interleave(self.stride, dim=-1)
        out_BDT: Tensor = self.conv(F.pad(x_BDT, (2 * self.stride, 0)))
        return out_BDT.mT


class ConformerLayer(nn.Module):
    """Pre-norm attention with relative positions, then a SiLU feed-forward."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.self_attn = RelativeAttention(config.width, config.n_heads)
        self.feed_forward = FeedForward(config.width, config.ffn_width)
        self.norm_mha = nn.LayerNorm(config.width, eps=CONFORMER_EPS)
        self.norm_ff = nn.LayerNorm(config.width, eps=CONFORMER_EPS)

    def forward(self, x_BTD: Tensor, positions_PD: Tensor, hidden_TT: Tensor | None) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        x_BTD = x_BTD + self.self_attn(self.norm_mha(x_BTD), positions_PD, hidden_TT)
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

    def forward(self, x_BTD: Tensor, positions_PD: Tensor, hidden_TT: Tensor | None) -> Tensor:
        """[B, T, D] to [B, T, D]; True in `hidden` is not attended to."""
        q_BHTK = self._heads(self.linear_q(x_BTD))
        bias_u_H1K, bias_v_H1K = self.pos_bias_u[:, None], self.pos_bias_v[:, None]
        k_BHTK = self._heads(self.linear_k(x_BTD))
        p_HPK = self._heads(self.linear_pos(positions_PD))
        by_content_BHTT = (q_BHTK + bias_u_H1K) @ k_BHTK.mT
        by_position_BHTP = (q_BHTK + bias_v_H1K) @ p_HPK.mT
        scores_BHTT = by_content_BHTT + to_keys(by_position_BHTP)
        scores_BHTT = scores_BHTT / math.sqrt(k_BHTK.shape[-1])
        if hidden_TT is not None:
            scores_BHTT = scores_BHTT.masked_fill(hidden_TT, -math.inf)
        mixed_BHTK = scores_BHTT.softmax(-1) @ self._heads(self.linear_v(x_BTD))
        out_BTD: Tensor = self.linear_out(mixed_BHTK.transpose(1, 2).flatten(2))
        return out_BTD

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.n_heads, -1).transpose(-3, -2)


def relative_positions(n_steps: int, width: int) -> Tensor:
    """Sinusoids [2T - 1, D] of the distances T - 1 down to 1 - T; sine and cosine alternate."""
    distance_P1 = torch.arange(n_steps - 1, -n_steps, -1.0)[:, None]
    rate_K = torch.exp(torch.arange(0, width, 2.0) * (-math.log(10000.0) / width))
    angle_PK = distance_P1 * rate_K
    return torch.stack([angle_PK.sin(), angle_PK.cos()], -1).flatten(1)


def to_keys(by_position_BHTP: Tensor) -> Tensor:
    """Scores by distance [B, H, T, 2T - 1] to scores by key [B, H, T, T]."""
    n_steps = by_position_BHTP.shape[2]
    flat = F.pad(by_position_BHTP, (1, 0)).flatten(2)[..., n_steps:]
    return flat.view(*flat.shape[:2], n_steps, -1)[..., :n_steps]


def chunk_mask(n_steps: int, chunk: int) -> Tensor | None:
    """True [T, T] where a step sees another: all earlier chunks and its own; None sees all."""
    if chunk == 0:
        return None
    chunk_T = torch.arange(n_steps) // chunk
    return chunk_T[:, None] >= chunk_T[None, :]
