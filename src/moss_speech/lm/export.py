"""A language model handed to other engines: the released layout, or its text path as Qwen3.

Layouts: docs/reference/format.md sections 1 and 2.
"""

import shutil
from pathlib import Path
from typing import Any, Literal, get_args

from moss_speech.lm.config import LMConfig, write_config
from moss_speech.lm.load import MAX_SHARD_BYTES, load_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.split import qwen3_tensors
from moss_speech.lm.tensors import write_tensors
from moss_speech.lm.tokenizer import load_tokenizer
from moss_speech.storage import fresh_dir, write_bytes, write_json

Layout = Literal["released", "qwen3"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
)
_TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
}
"""For a tokenizer of our own, which has nothing but its tokenizer.json."""
_SAME_KEYS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_theta",
    "attention_bias",
    "attention_dropout",
    "use_sliding_window",
    "tie_word_embeddings",
    "initializer_range",
    "pad_token_id",
    "eos_token_id",
)
_WHAT: dict[Layout, str] = {
    "released": "A layer-split speech-to-speech language model in the MOSS-Speech layout: one "
    "trunk, a text and a speech tail, a grid of two channels.",
    "qwen3": "The text path of a layer-split speech-to-speech language model as a Qwen3 text "
    "model: trunk and text tail; it neither hears nor speaks.",
}


def export_lm(
    source: Path, out: Path, layout: Layout, max_shard_bytes: int = MAX_SHARD_BYTES
) -> None:
    """Write the model folder `source` in another engine's layout; `out` appears whole.

    Raises `ValueError` for a source that cannot be opened and an `out` that holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty, must be a new folder")
    model = load_lm(source)
    load_tokenizer(source)
    with fresh_dir(out) as folder:
        if layout == "released":
            write_config(model.config, folder)
            write_tensors(model.state_dict(), folder, max_shard_bytes)
        else:
            write_json(folder / "config.json", qwen3_json(model))
            write_tensors(qwen3_tensors(model), folder, max_shard_bytes)
        _copy_tokenizer(source, folder)
        write_bytes(folder / "README.md", _card(model, layout).encode())


def qwen3_json(model: LayerSplitLM) -> dict[str, Any]:
    """config.json of the text path as `Qwen3ForCausalLM`."""
    values = model.config.model_dump()
    dtype = str(model.text_lm_head.weight.dtype).removeprefix("torch.")
    kind = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
    types = {"dtype": dtype, "torch_dtype": dtype}
    return {**kind, **types, **{key: values[key] for key in _SAME_KEYS}}


def _copy_tokenizer(source: Path, folder: Path) -> None:
    for name in _TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    if not (folder / "tokenizer_config.json").is_file():
        write_json(folder / "tokenizer_config.json", _TOKENIZER_CONFIG)


def _card(model: LayerSplitLM, layout: Layout) -> str:
    config: LMConfig = model.config
    parameters = sum(w.numel() for w in model.parameters()) / 1e6
    tail, trunk = config.num_modality_layers, config.num_shared_layers
    return (
        f"# Model card\n\n{_WHAT[layout]}\n\n"
        "| | |\n|---|---|\n"
        f"| parameters of the whole model | {parameters:,.1f} M |\n"
        f"| layers | {trunk} shared, {tail} a tail |\n"
        f"| width | {config.hidden_size} |\n"
        f"| text vocabulary, codes | {config.vocab_size}, {config.n_codes} |\n"
        f"| type | {str(model.text_lm_head.weight.dtype).removeprefix('torch.')} |\n\n"
        "The licence, the data and the consent are those of the model that this was exported "
        "from; see its card.\n"
    )
