"""Logits on fixed random text, and how far apart two sets of logits are.

Shapes: B sequences, T rows, V text vocabulary.
"""

import numpy as np
import torch
from torch import Tensor

from moss_speech.lm.config import LMConfig
from moss_speech.lm.model import LayerSplitLM

_ROWS = 64


def text_ids(config: LMConfig, n_sequences: int, generator: torch.Generator) -> Tensor:
    """Random text ids without the modality pad, [B, T]."""
    shape = (n_sequences, min(_ROWS, config.max_position_embeddings))
    ids_BT = torch.randint(config.vocab_size, shape, generator=generator)
    return ids_BT.masked_fill(ids_BT == config.ids.modality_pad, config.ids.pad)


@torch.inference_mode()
def text_probe(model: LayerSplitLM, seed: int) -> Tensor:
    """Logits of the text path on random ids, [B, T, V]: equal weights give equal bits."""
    return model.text_logits(text_ids(model.config, 8, torch.Generator().manual_seed(seed)))


def largest_change(before: Tensor, after: Tensor) -> float:
    """Largest absolute difference; 0.0 only if every bit is equal."""
    if torch.equal(before, after):
        return 0.0
    return max(float((before - after).abs().max()), float(np.finfo(np.float32).tiny))
