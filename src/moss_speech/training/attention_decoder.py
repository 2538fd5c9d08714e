"""A second reader of codes while the tokenizer trains: it writes letters that attend to vectors.

CTC writes each letter from its neighbourhood; this one from the whole utterance and the letters
before. Both pull on the encoder. It is not saved with the codec.

Shapes: B batch · N codes · D width of the codec · W own width · L characters, longest item ·
A alphabet with the blank.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_EDGE = 0
"""Begin and end of a text: the blank of the alphabet, which texts do not have."""
_HEAD_WIDTH = 64
_PADDING = -100


class AttentionDecoder(nn.Module):
    """A small transformer decoder over characters, fed with the right ones."""

    def __init__(self, n_inputs: int, width: int, n_layers: int, n_characters: int) -> None:
        super().__init__()
        most = max(1, width // _HEAD_WIDTH)
        n_heads = next(n for n in range(most, 0, -1) if width % n == 0)
        self.heard = nn.Sequential(nn.LayerNorm(n_inputs), nn.Linear(n_inputs, width))
        self.written = nn.Embedding(n_characters, width)
        layer = nn.TransformerDecoderLayer(
            width, n_heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerDecoder(layer, n_layers, nn.LayerNorm(width))
        self.characters = nn.Linear(width, n_characters)

    def forward(
        self, x_BND: Tensor, inside_BN: Tensor, characters_BL: Tensor, n_characters_B: Tensor
    ) -> Tensor:
        """Mean cross-entropy of a character, the end of the text included.

        Characters after the first `n_characters_B` of an item mean nothing.
        """
        place_L = torch.arange(characters_BL.shape[1] + 1, device=x_BND.device)
        target_BL = functional.pad(characters_BL, (0, 1))
        target_BL = target_BL.masked_fill(place_L == n_characters_B[:, None], _EDGE)
        target_BL = target_BL.masked_fill(place_L > n_characters_B[:, None], _PADDING)
        scores_BLA = self.scores(x_BND, inside_BN, characters_BL)
        return functional.cross_entropy(
            scores_BLA.flatten(0, 1), target_BL.flatten(), ignore_index=_PADDING
        )

    def scores(self, x_BND: Tensor, inside_BN: Tensor, characters_BL: Tensor) -> Tensor:
        """Logits [B, L + 1, A] of each character from those before it, and of one more."""
        given_BLW = self.written(functional.pad(characters_BL, (1, 0), value=_EDGE))
        heard_BNW = self.heard(x_BND)
        place_L = torch.arange(given_BLW.shape[1], device=x_BND.device)
        out_BLW = self.layers(
            given_BLW + _places(given_BLW),
            heard_BNW + _places(heard_BNW),
            tgt_mask=place_L > place_L[:, None],
            memory_key_padding_mask=~inside_BN,
        )
        scores_BLA: Tensor = self.characters(out_BLW).float()
        return scores_BLA


def _places(x_BLW: Tensor) -> Tensor:
    """Sines and cosines [L, W] of the places, from fast to slow."""
    n_places, width = x_BLW.shape[1:]
    half = (width + 1) // 2
    steps_H = torch.arange(half, device=x_BLW.device) * (-math.log(10_000.0) / half)
    angle_LH = torch.arange(n_places, device=x_BLW.device)[:, None] * steps_H.exp()
    return torch.cat((angle_LH.sin(), angle_LH.cos()), 1)[:, :width]
