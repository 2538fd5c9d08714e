"""Small random models in the released layout, for tests of engines that read it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from moss_speech.lm.config import LMConfig, id_values
from moss_speech.lm.grid import REPEAT, SYSTEM
from moss_speech.lm.load import save_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.split import initialise
from moss_speech.lm.tokenizer import TextTokenizer, train_tokenizer
from moss_speech.storage import fresh_dir

Dtype = Literal["float32", "bfloat16"]
_TEXTS = (*SYSTEM.values(), *REPEAT.values(), "system\n", "user\n", "assistant\n", "\n")


@dataclass(frozen=True)
class Sizes:
    """What a random model is made of."""

    hidden: int = 64
    intermediate: int = 160
    trunk_layers: int = 2
    tail_layers: int = 1
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    codes: int = 512
    text_vocab: int = 600
    max_rows: int = 2048


def make_checkpoint(
    out: Path, sizes: Sizes, seed: int = 0, dtype: Dtype = "float32", max_shard_bytes: int = 10**9
) -> LMConfig:
    """Write a random model and its tokenizer as a new folder; equal arguments, equal bytes.

    The tokenizer knows every byte and the words of the system texts. Raises `ValueError` for
    sizes that do not fit each other and for an `out` that holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty, must be a new folder")
    tokenizer = train_tokenizer(_TEXTS, sizes.text_vocab)
    config = _config(sizes, tokenizer)
    model = LayerSplitLM(config)
    initialise(model, seed)
    with fresh_dir(out) as folder:
        save_lm(model.to(getattr(torch, dtype)), folder, tokenizer, max_shard_bytes)
    return config


def _config(sizes: Sizes, tokenizer: TextTokenizer) -> LMConfig:
    ids = tokenizer.special_ids(sizes.codes)
    values = {
        "vocab_size": len(tokenizer),
        "audio_vocab_size": sizes.codes + 128,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.intermediate,
        "num_hidden_layers": sizes.trunk_layers + sizes.tail_layers,
        "num_shared_layers": sizes.trunk_layers,
        "num_modality_layers": sizes.tail_layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "max_position_embeddings": sizes.max_rows,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        **id_values(ids),
    }
    return LMConfig.from_json(values, "make-checkpoint")
