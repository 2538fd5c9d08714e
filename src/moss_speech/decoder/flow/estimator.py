"""The network that flow matching trains: a 1-D U-Net whose convolutions are all causal.

Tensor names and arithmetic are the published ones (docs/reference/decoder-format.md).
Shapes: B batch · M mel bands · C channels · T frames · H heads · K head width · E time width.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.flow.past import Past

KERNEL = 3
TIME_SCALE = 1000.0


@dataclass(frozen=True)
class Conditions:
    """What the flow is given beside noise and time."""

    mu_BMT: Tensor
    """Coarse mel of the codes."""
    speaker_BM: Tensor
    prompt_BMT: Tensor
    """Mel of the voice prompt at the beginning, zeros after it."""

    def keep(self, kept_B: Tensor) -> "Conditions":
        """The same with all conditions zero where `kept_B` is False."""
        kept_B1 = kept_B.to(self.speaker_BM.dtype)[:, None]
        return Conditions(
            self.mu_BMT * kept_B1[:, :, None],
            self.speaker_BM * kept_B1,
            self.prompt_BMT * kept_B1[:, :, None],
        )

    def with_unconditional(self) -> "Conditions":
        """Twice the batch: as it is, then without conditions."""
        both = (
            torch.cat([x, torch.zeros_like(x)])
            for x in (self.mu_BMT, self.speaker_BM, self.prompt_BMT)
        )
        return Conditions(*both)


class Estimator(nn.Module):
    """Velocity of the flow at (x, time), given coarse mel, speaker and prompt mel."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        n_mels, width = config.format.n_mels, config.channels
        self.time_width = 4 * n_mels
        self.time_mlp = TimeMLP(self.time_width, 4 * width)
        self.down_blocks = nn.ModuleList([Stage(config, 4 * n_mels, CausalConv(width, width))])
        self.mid_blocks = nn.ModuleList(
            Stage(config, width, None) for _ in range(config.n_mid_blocks)
        )
        self.up_blocks = nn.ModuleList([Stage(config, 2 * width, CausalConv(width, width))])
        self.final_block = CausalBlock(width, width)
        self.final_proj = nn.Conv1d(width, n_mels, 1)

    def forward(self, x_BMT: Tensor, given: Conditions, time_B: Tensor, past: Past) -> Tensor:
        """Velocity [B, M, T]."""
        time_BE = self.time_mlp(time_features(time_B, self.time_width))
        speaker_BMT = given.speaker_BM[:, :, None].expand_as(x_BMT)
        h_BCT = torch.cat([x_BMT, given.mu_BMT, speaker_BMT, given.prompt_BMT], 1)
        for down in self.down_blocks:
            skip_BCT, h_BCT = down(h_BCT, time_BE, past)
        for middle in self.mid_blocks:
            h_BCT, _ = middle(h_BCT, time_BE, past)
        for up in self.up_blocks:
            _, h_BCT = up(torch.cat([h_BCT, skip_BCT], 1), time_BE, past)
        out_BMT: Tensor = self.final_proj(self.final_block(h_BCT, past))
        return out_BMT


class Stage(nn.ModuleList):
    """A convolution block, transformer blocks, and a last convolution where there is one."""

    def __init__(self, config: FlowConfig, n_in: int, last: nn.Module | None) -> None:
        transformers = (TransformerBlock(config) for _ in range(config.n_transformers))
        parts = [ResnetBlock(n_in, config.channels), nn.ModuleList(transformers)]
        super().__init__(parts if last is None else [*parts, last])

    def forward(self, x_BCT: Tensor, time_BE: Tensor, past: Past) -> tuple[Tensor, Tensor]:
        """[B, C, T] before and after the last convolution."""
        resnet, transformers, *last = self
        h_BTC = resnet(x_BCT, time_BE, past).mT
        assert isinstance(transformers, nn.ModuleList)
        for transformer in transformers:
            h_BTC = transformer(h_BTC, past)
        h_BCT = h_BTC.mT
        return h_BCT, last[0](h_BCT, past) if last else h_BCT


def time_features(time_B: Tensor, width: int) -> Tensor:
    """Sines, then cosines [B, width] of a time in 0..1."""
    half = width // 2
    rate = torch.exp(torch.arange(half, device=time_B.device) * (-math.log(10000.0) / (half - 1)))
    angle = TIME_SCALE * time_B[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], -1)


class TimeMLP(nn.Module):
    """Linear, SiLU, linear."""

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(n_in, width), nn.Linear(width, width)

    def forward(self, x_BE: Tensor) -> Tensor:
        """[B, features] to [B, E]."""
        out_BE: Tensor = self.linear_2(F.silu(self.linear_1(x_BE)))
        return out_BE


class CausalConv(nn.Conv1d):
    """Convolution that sees the present and the past."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, KERNEL)

    def forward(self, x_BCT: Tensor, past: Past) -> Tensor:  # type: ignore[override]
        """[B, C, T] to [B, C, T]."""
        return super().forward(past.extend(x_BCT, KERNEL - 1))


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of [B, C, T]."""

    def forward(self, x_BCT: Tensor) -> Tensor:
        """[B, C, T] to [B, C, T]."""
        return super().forward(x_BCT.mT).mT


class CausalBlock(nn.Module):
    """Causal convolution, norm, Mish."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        # The published names count four parts, of which the first and the third have weights.
        self.block = nn.Sequential(
            CausalConv(n_in, n_out), nn.Identity(), ChannelNorm(n_out), nn.Mish()
        )

    def forward(self, x_BCT: Tensor, past: Past) -> Tensor:
        """[B, C, T] to [B, C, T]."""
        convolution, *rest = self.block
        out_BCT: Tensor = convolution(x_BCT, past)
        for part in rest:
            out_BCT = part(out_BCT)
        return out_BCT


class ResnetBlock(nn.Module):
    """Two causal blocks with the time added between them, and a residual."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Mish(), nn.Linear(4 * n_out, n_out))
        self.block1, self.block2 = CausalBlock(n_in, n_out), CausalBlock(n_out, n_out)
        self.res_conv = nn.Conv1d(n_in, n_out, 1)

    def forward(self, x_BCT: Tensor, time_BE: Tensor, past: Past) -> Tensor:
        """[B, C, T] to [B, C, T]."""
        h_BCT = self.block1(x_BCT, past) + self.mlp(time_BE)[:, :, None]
        h_BCT = self.block2(h_BCT, past)
        out_BCT: Tensor = h_BCT + self.res_conv(x_BCT)
        return out_BCT


class TransformerBlock(nn.Module):
    """Pre-norm attention, then a GELU feed-forward."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.norm1, self.norm3 = nn.LayerNorm(config.channels), nn.LayerNorm(config.channels)
        self.attn1 = Attention(config.channels, config.attention_heads, config.head_width)
        self.ff = FeedForward(config.channels)

    def forward(self, x_BTC: Tensor, past: Past) -> Tensor:
        """[B, T, C] to [B, T, C]."""
        x_BTC = x_BTC + self.attn1(self.norm1(x_BTC), past)
        out_BTC: Tensor = x_BTC + self.ff(self.norm3(x_BTC))
        return out_BTC


class Attention(nn.Module):
    """Attention without positions: the convolutions carry the order."""

    def __init__(self, width: int, n_heads: int, head_width: int) -> None:
        super().__init__()
        self.n_heads, inner = n_heads, n_heads * head_width
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_k = nn.Linear(width, inner, bias=False)
        self.to_v = nn.Linear(width, inner, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(inner, width)])

    def forward(self, x_BTC: Tensor, past: Past) -> Tensor:
        """[B, T, C] to [B, T, C]."""
        q_BHTK, k_BHTK, v_BHTK = (
            project(x_BTC).view(*x_BTC.shape[:2], self.n_heads, -1).transpose(1, 2)
            for project in (self.to_q, self.to_k, self.to_v)
        )
        mixed_BHTK = past.attend(q_BHTK, k_BHTK, v_BHTK, None)
        out_BTC: Tensor = self.to_out[0](mixed_BHTK.transpose(1, 2).flatten(2))
        return out_BTC


class Gelu(nn.Module):
    """Linear and GELU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(n_in, n_out)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """[B, T, C] to [B, T, inner]."""
        return F.gelu(self.proj(x_BTC))


class FeedForward(nn.Module):
    """Four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(Gelu(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x_BTC: Tensor) -> Tensor:
        """[B, T, C] to [B, T, C]."""
        out_BTC: Tensor = self.net(x_BTC)
        return out_BTC
