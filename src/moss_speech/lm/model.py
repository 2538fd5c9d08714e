"""The layer-split language model: one trunk, two tails, two embeddings, norms and heads.

Module names are the published tensor names (docs/reference/format.md section 2).
Shapes: B batch, T grid rows, C channels (0 text, 1 speech), D width, V vocabulary, S seen rows.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from moss_speech.lm.config import LMConfig
from moss_speech.lm.layers import Layer, LayerCache, Place, RMSNorm, Stack, rotary

Channel = Literal["text", "audio"]
CHANNELS: tuple[Channel, Channel] = ("text", "audio")


@dataclass(frozen=True)
class GridLogits:
    """What the two heads say of each row's successor."""

    text_BTV: Tensor
    audio_BTV: Tensor


class GridModel(nn.Module):
    """Embeddings, trunk, tails and norms; everything but the heads."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.audio_embed = nn.Embedding(config.audio_vocab_size, config.hidden_size)
        self.shared_block = Stack(config, config.num_shared_layers)
        self.text_block = Stack(config, config.num_modality_layers)
        self.audio_block = Stack(config, config.num_modality_layers)
        self.text_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.audio_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class LayerSplitLM(nn.Module):
    """One trunk, two tails, two heads over a two-channel grid."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        self.model = GridModel(config)
        self.text_lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.audio_lm_head = nn.Linear(config.hidden_size, config.audio_vocab_size, bias=False)

    def forward(self, grid_BTC: Tensor) -> GridLogits:
        """Logits of both channels for every row."""
        place = self.place(grid_BTC)
        x_BTD = self.trunk(grid_BTC, place)
        text_BTD = self.tail(x_BTD, "text", place)
        audio_BTD = self.tail(x_BTD, "audio", place)
        return GridLogits(self.head("text")(text_BTD), self.head("audio")(audio_BTD))

    def text_logits(self, ids_BT: Tensor) -> Tensor:
        """Logits of the text path alone, as the backbone would give them."""
        grid_BTC = torch.stack((ids_BT, torch.full_like(ids_BT, self.config.ids.audio_pad)), -1)
        place = self.place(grid_BTC)
        x_BTD = self.tail(self.trunk(grid_BTC, place), "text", place)
        logits_BTV: Tensor = self.head("text")(x_BTD)
        return logits_BTV

    def embed(self, grid_BTC: Tensor) -> Tensor:
        """One embedding a row: speech where the text channel holds the modality pad."""
        text_BT, audio_BT = grid_BTC.unbind(-1)
        is_speech_BT1 = (text_BT == self.config.ids.modality_pad).unsqueeze(-1)
        speech_BTD = self.model.audio_embed(audio_BT)
        return torch.where(is_speech_BT1, speech_BTD, self.model.embed_tokens(text_BT))

    def trunk(
        self, grid_BTC: Tensor, place: Place, caches: list[LayerCache] | None = None
    ) -> Tensor:
        """The residual stream where the two tails fork; no norm."""
        x_BTD: Tensor = self.model.shared_block(self.embed(grid_BTC), place, caches)
        return x_BTD

    def tail(
        self,
        x_BTD: Tensor,
        channel: Channel,
        place: Place,
        caches: list[LayerCache] | None = None,
    ) -> Tensor:
        """One tail and its norm over the trunk's output."""
        out_BTD: Tensor = self.norm(channel)(self.block(channel)(x_BTD, place, caches))
        return out_BTD

    @property
    def dtype(self) -> torch.dtype:
        """Type of the residual stream and the cache; quantised layers store theirs narrower."""
        return self.model.text_norm.weight.dtype

    def block(self, channel: Channel) -> Stack:
        """The layers of one tail."""
        return self.model.text_block if channel == "text" else self.model.audio_block

    def norm(self, channel: Channel) -> RMSNorm:
        """The norm after one tail."""
        return self.model.text_norm if channel == "text" else self.model.audio_norm

    def head(self, channel: Channel) -> nn.Module:
        """The head of one channel."""
        return self.text_lm_head if channel == "text" else self.audio_lm_head

    def place(
        self,
        grid_BTC: Tensor,
        positions_BT: Tensor | None = None,
        mask_B1TS: Tensor | None = None,
    ) -> Place:
        """Positions and mask of a pass; by default 0..T-1 and causal."""
        if positions_BT is None:
            positions_BT = torch.arange(grid_BTC.shape[1], device=grid_BTC.device)[None]
        cos, sin = rotary(positions_BT, self.config, self.dtype)
        return Place(cos, sin, mask_B1TS)

    def set_dropout(self, share: float) -> None:
        """Set the residual dropout of every layer, used in training mode only."""
        for module in self.modules():
            if isinstance(module, Layer):
                module.dropout = share


def channel_parameters(model: LayerSplitLM, channel: Channel) -> dict[str, nn.Parameter]:
    """The weights that belong to one channel alone: embedding, tail, norm and head."""
    embedding = "model.embed_tokens." if channel == "text" else "model.audio_embed."
    own = (f"model.{channel}_block.", f"model.{channel}_norm.", f"{channel}_lm_head.")
    prefixes = (embedding, *own)
    return {name: w for name, w in model.named_parameters() if name.startswith(prefixes)}
