"""Whisper-type encoder: two convolutions, pre-LN attention blocks, average pooling, codebook.

Shapes: B batch · M mel bands · F mel frames · T encoder frames · K frames seen · N codes ·
D width · H heads · W width of a head.
Parameter names are those of the published model.safetensors (docs/reference/codec-format.md).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from moss_speech.codec.config import FEATURE_STRIDE, CodecConfig

_KERNEL = 3


class Encoder(nn.Module):
    """Mel features in, one pooled vector every 80 ms out; its nearest codebook row is the code."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        width = config.d_model
        self.conv1 = nn.Conv1d(config.num_mel_bins, width, _KERNEL)
        self.conv2 = nn.Conv1d(width, width, _KERNEL, stride=FEATURE_STRIDE)
        self.embed_positions = nn.Embedding(config.max_source_positions, width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.quantize_position))
        self.codebook = nn.Embedding(config.n_codes, width)
        self.embed_positions2 = nn.Embedding(config.segment_codes, width)
        """Published, added after quantising: no part in the codes."""
        for table in (self.embed_positions, self.codebook, self.embed_positions2):
            table.weight.requires_grad_(False)

    def forward(self, mel_BMF: Tensor, codes_B: Tensor) -> Tensor:
        """Pooled vectors [B, N, D] of features whose items count `codes_B` codes each."""
        return self.pool(self.hidden(mel_BMF, codes_B))

    def hidden(self, mel_BMF: Tensor, codes_B: Tensor) -> Tensor:
        """Frames [B, T, D] after the last block."""
        x_BTD = self.embed(mel_BMF)
        visible_BTT = visible_frames(self.config, x_BTD.shape[1], codes_B)
        for layer in self.layers:
            x_BTD = layer(x_BTD, visible_BTT)
        return x_BTD

    def embed(self, mel_BMF: Tensor) -> Tensor:
        """Frames [B, T, D] before the first block."""
        x_BDF = functional.gelu(self.conv1(self._padded(mel_BMF)))
        x_BDT = functional.gelu(self.conv2(self._padded(x_BDF)))
        positions_TD: Tensor = self.embed_positions.weight[: x_BDT.shape[-1]]
        return x_BDT.mT + positions_TD

    def pool(self, x_BTD: Tensor) -> Tensor:
        """Mean of every `pooling_kernel_size` frames, zero-padded on the right."""
        size = self.config.pooling_kernel_size
        x_BTD = functional.pad(x_BTD, (0, 0, 0, -x_BTD.shape[1] % size))
        n_items, n_frames, width = x_BTD.shape
        return x_BTD.reshape(n_items, n_frames // size, size, width).mean(2)

    def _padded(self, x_BCF: Tensor) -> Tensor:
        causal = self.config.encoder_causal_convolution
        return functional.pad(x_BCF, (_KERNEL - 1, 0) if causal else (1, 1))


class Block(nn.Module):
    """Attention, then two linear maps, each after a layer norm and around a residual."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.self_attn = Attention(config)
        self.final_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, config.d_model)

    def forward(self, x_BTD: Tensor, visible_BTT: Tensor) -> Tensor:
        """One step of the residual stream."""
        return self.mix(x_BTD, *self.project(x_BTD), visible_BTT)

    def project(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [B, H, T, W] of frames."""
        return self.self_attn.project(self.self_attn_layer_norm(x_BTD))

    def mix(
        self, x_BTD: Tensor, q_BHTW: Tensor, k_BHKW: Tensor, v_BHKW: Tensor, visible_BTK: Tensor
    ) -> Tensor:
        """One step of the frames `x`, whose queries are `q`, over keys and values of any frames."""
        x_BTD = x_BTD + self.self_attn(q_BHTW, k_BHKW, v_BHKW, visible_BTK)
        change_BTD: Tensor = self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x_BTD))))
        return x_BTD + change_BTD


class Attention(nn.Module):
    """Multi-head attention; the keys have no bias."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.d_model
        self.n_heads = config.encoder_attention_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def project(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [B, H, T, W]."""
        q, k, v = (
            project(x_BTD).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return q, k, v

    def forward(
        self, q_BHTW: Tensor, k_BHKW: Tensor, v_BHKW: Tensor, visible_BTK: Tensor
    ) -> Tensor:
        """Each query's mix of the values visible to it."""
        mixed_BHTW = functional.scaled_dot_product_attention(
            q_BHTW, k_BHKW, v_BHKW, attn_mask=visible_BTK.unsqueeze(1)
        )
        mixed: Tensor = self.out_proj(mixed_BHTW.transpose(1, 2).flatten(2))
        return mixed


def visible_frames(config: CodecConfig, n_frames: int, codes_B: Tensor) -> Tensor:
    """Which frame (last axis) each frame sees [B, T, T]: by `causally_visible`, or all of the item.

    Frames past the item's end see themselves at least: what sees nothing would become NaN.
    """
    frame_T = torch.arange(n_frames, device=codes_B.device)
    inside_B1T = frame_T < (codes_B * config.pooling_kernel_size)[:, None, None]
    if not config.encoder_causal_attention:
        return inside_B1T.expand(-1, n_frames, -1)
    itself_TT = torch.eye(n_frames, dtype=torch.bool, device=codes_B.device)
    return inside_B1T & causally_visible(config, frame_T, frame_T) | itself_TT


def causally_visible(config: CodecConfig, query_T: Tensor, key_K: Tensor) -> Tensor:
    """Which frame numbers `key` each frame number `query` sees [T, K]: window and look-ahead."""
    ahead_TK = key_K - query_T[:, None]
    visible_TK = ahead_TK <= config.lookahead_frames
    if config.window_frames is not None:
        visible_TK &= ahead_TK > -config.window_frames
    return visible_TK
