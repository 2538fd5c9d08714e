"""Small random models in the released layout, for tests of engines that read it."""

from pathlib import Path
from typing import Literal

import torch

from moss_speech.lm.config import LMConfig, shaped_config
from moss_speech.lm.grid import REPEAT, SYSTEM
from moss_speech.lm.load import save_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.split import initialise
from moss_speech.lm.tokenizer import train_tokenizer
from moss_speech.params.lm import Shape
from moss_speech.storage import fresh_dir, require_new, write_bytes

Dtype = Literal["float32", "bfloat16"]
_TEXTS = (*SYSTEM.values(), *REPEAT.values(), "system\n", "user\n", "assistant\n", "\n")
_LICENCE = "CC0-1.0. Random weights, made by `moss-speech make-checkpoint`.\n"
_RESERVE = 128
"""Speech ids above the codes, as many as the released model has."""


def make_checkpoint(
    out: Path,
    shape: Shape,
    n_tail_layers: int,
    n_codes: int,
    seed: int = 0,
    dtype: Dtype = "float32",
    max_shard_bytes: int = 10**9,
) -> LMConfig:
    """Write a random model and its tokenizer as a new folder; equal arguments, equal bytes.

    The tokenizer knows every byte and the words of the system texts. Raises `ValueError` for
    sizes that do not fit each other and for an `out` that holds something.
    """
    require_new(out)
    tokenizer = train_tokenizer(_TEXTS, shape.n_text_vocab)
    ids = tokenizer.special_ids(n_codes)
    config = shaped_config(shape, n_tail_layers, len(tokenizer), n_codes + _RESERVE, ids)
    model = LayerSplitLM(config)
    initialise(model, seed)
    with fresh_dir(out) as folder:
        save_lm(model.to(getattr(torch, dtype)), folder, tokenizer, max_shard_bytes)
        write_bytes(folder / "LICENSE", _LICENCE.encode())
    return config
