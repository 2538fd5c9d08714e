"""Reads characters from codes by CTC: what the tokenizer is trained and the aligner works with.

Shapes: B batch · N codes · W width · U character frames (4 a code) · A alphabet with the blank.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BLANK = 0
FRAMES_PER_CODE = 4
"""Characters come faster than codes: 27 letters do not fit into 21 frames."""
ENGLISH = " 'abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Alphabet:
    """Characters with their indices; index 0 is the CTC blank."""

    characters: str

    def __len__(self) -> int:
        return len(self.characters) + 1

    def encode(self, text: str) -> list[int]:
        """Indices of a text; `ValueError` names characters that are not in the alphabet."""
        if foreign := sorted(set(text) - set(self.characters)):
            raise ValueError(f"{text!r} has {foreign}, allowed are {self.characters!r}")
        return [self.characters.index(c) + 1 for c in text]

    def decode(self, path: list[int]) -> str:
        """Text of a best path: repeats merged, blanks dropped."""
        merged = [now for now, before in zip(path, [BLANK, *path], strict=False) if now != before]
        text = "".join(self.characters[i - 1] for i in merged if i != BLANK)
        return " ".join(text.split())


class CtcReadout(nn.Module):
    """Convolutions over two codes to either side, then four character frames for each code."""

    def __init__(self, n_inputs: int, width: int, alphabet: Alphabet) -> None:
        super().__init__()
        self.n_inputs, self.width, self.alphabet = n_inputs, width, alphabet
        self.norm = nn.LayerNorm(n_inputs)
        self.near = nn.Conv1d(n_inputs, width, 3, padding=1)
        self.far = nn.Conv1d(width, width, 3, padding=1)
        self.spread = nn.Linear(width, FRAMES_PER_CODE * width)
        self.detail = nn.Conv1d(width, width, 3, padding=1)
        self.characters = nn.Linear(width, len(alphabet))

    def forward(self, x_BND: Tensor, codes_B: Tensor) -> Tensor:
        """Log-probabilities [B, U, A] of quantised vectors, the same alone as in a batch."""
        place_N = torch.arange(x_BND.shape[1], device=x_BND.device)
        inside_BN1 = (place_N < codes_B[:, None])[..., None]
        x_BNW = functional.gelu(self.near((self.norm(x_BND) * inside_BN1).mT)).mT * inside_BN1
        x_BNW = functional.gelu(self.far(x_BNW.mT)).mT * inside_BN1
        x_BUW = (self.spread(x_BNW) * inside_BN1).unflatten(-1, (FRAMES_PER_CODE, -1)).flatten(1, 2)
        x_BUW = functional.gelu(self.detail(x_BUW.mT)).mT
        return functional.log_softmax(self.characters(x_BUW).float(), -1)
