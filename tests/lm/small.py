"""A small random model and its tokenizer, odd in every size."""

from pathlib import Path

import torch

from moss_speech.lm.checkpoint import Dtype, make_checkpoint
from moss_speech.lm.config import LMConfig, id_values
from moss_speech.lm.grid import REPEAT, SYSTEM
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.split import initialise
from moss_speech.lm.tokenizer import TextTokenizer, train_tokenizer
from moss_speech.params.lm import Shape

N_CODES = 20
TEXTS = [*SYSTEM.values(), *REPEAT.values(), "user\n", "what color is grass", "it is green"]


def small_tokenizer() -> TextTokenizer:
    return train_tokenizer(TEXTS, 400)


def small_config(
    n_trunk: int = 2, n_tail: int = 1, n_kv_heads: int = 2, **more: object
) -> LMConfig:
    tokenizer = small_tokenizer()
    values = {
        "vocab_size": len(tokenizer),
        "audio_vocab_size": N_CODES + 5,
        "hidden_size": 36,
        "intermediate_size": 52,
        "num_hidden_layers": n_trunk + n_tail,
        "num_shared_layers": n_trunk,
        "num_modality_layers": n_tail,
        "num_attention_heads": 4,
        "num_key_value_heads": n_kv_heads,
        "head_dim": 10,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "initializer_range": 0.3,
        **id_values(tokenizer.special_ids(N_CODES)),
        **more,
    }
    return LMConfig.from_json(values, "test")


def small_model(seed: int = 0, **sizes: int) -> LayerSplitLM:
    model = LayerSplitLM(small_config(**sizes))
    initialise(model, seed)
    return model.eval()


def few_ids_model() -> LayerSplitLM:
    """A model of so few ids that hot draws open and close speech all the time."""
    values = small_config(n_tail=2).to_json() | {
        "vocab_size": 24,
        "audio_vocab_size": 9,
        "pad_token_id": 0,
        "im_start_token_id": 1,
        "eos_token_id": 2,
        "sosp_token_id": 3,
        "modality_pad_token_id": 4,
        "eosp_token_id": 7,
        "audio_pad_token_id": 8,
    }
    model = LayerSplitLM(LMConfig.from_json(values))
    initialise(model, 1)
    return model.eval()


def random_rows(config: LMConfig, n_rows: int, seed: int) -> torch.Tensor:
    """Rows with text and speech mixed at random, [n_rows, 2]."""
    draw = torch.Generator().manual_seed(seed)
    text = torch.randint(5, config.vocab_size, (n_rows,), generator=draw)
    audio = torch.randint(config.n_codes, (n_rows,), generator=draw)
    spoken = torch.rand(n_rows, generator=draw) < 0.5
    text[spoken] = config.ids.modality_pad
    return torch.stack((text, audio), -1)


SHAPE = Shape(
    n_text_vocab=600,
    hidden_size=64,
    intermediate_size=160,
    n_trunk_layers=2,
    n_heads=4,
    n_kv_heads=2,
    head_dim=16,
    max_rows=2048,
    rope_theta=1e6,
)


def small_checkpoint(
    out: Path, seed: int = 0, dtype: Dtype = "float32", max_shard_bytes: int = 10**9
) -> None:
    """A model folder with 512 codes, three trunk and two tail layers."""
    shape = SHAPE.model_copy(update={"n_trunk_layers": 3})
    make_checkpoint(out, shape, 2, 512, seed, dtype, max_shard_bytes)
