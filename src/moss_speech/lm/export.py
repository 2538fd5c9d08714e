"""A language model handed to other engines: the released layout, or its text path as Qwen3.

Layouts: docs/reference/format.md sections 1 and 2.
"""

from pathlib import Path
from typing import Any, Literal, get_args

from moss_speech.lm.config import LMConfig
from moss_speech.lm.load import MAX_SHARD_BYTES, load_lm, write_model
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.quantize import Scheme, hollow, quantize, scheme_of
from moss_speech.lm.split import qwen3_tensors
from moss_speech.lm.tensors import type_name
from moss_speech.lm.tokenizer import load_tokenizer
from moss_speech.storage import fresh_dir, require_new, write_bytes, write_json

Layout = Literal["released", "qwen3"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

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
    source: Path,
    out: Path,
    layout: Layout,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    scheme: Scheme | None = None,
    licence: str = "that of the source",
) -> None:
    """Write the model folder `source` in another engine's layout; `out` appears whole.

    With a scheme the linear weights are quantised; without one, all keep their bits. The card
    states `licence`. Raises `ValueError` for a source that cannot be opened and an `out` that
    holds something.
    """
    require_new(out)
    model = load_lm(source)
    tokenizer = load_tokenizer(source)
    if scheme is not None:
        model = quantize(model, scheme)
    with fresh_dir(out) as folder:
        if layout == "released":
            config, tensors = model.config.to_json(), model.state_dict()
        else:
            config, tensors = qwen3_json(model.config), qwen3_tensors(model)
        write_model(model, config, tensors, folder, max_shard_bytes)
        tokenizer.save(folder)
        if not (folder / "tokenizer_config.json").is_file():
            write_json(folder / "tokenizer_config.json", _TOKENIZER_CONFIG)
        write_bytes(folder / "README.md", _card(model, layout, licence).encode())


def qwen3_json(config: LMConfig) -> dict[str, Any]:
    """config.json of the text path as `Qwen3ForCausalLM`."""
    values = config.model_dump()
    kind = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
    return {**kind, **{key: values[key] for key in _SAME_KEYS}}


def _card(model: LayerSplitLM, layout: Layout, licence: str) -> str:
    config, scheme = model.config, scheme_of(model)
    parameters = sum(w.numel() for w in hollow(config, None).parameters()) / 1e6
    stored = "" if scheme is None else f", linear weights {scheme.bits}"
    tail, trunk = config.num_modality_layers, config.num_shared_layers
    return (
        f"# Model card\n\n{_WHAT[layout]}\n\n"
        "| | |\n|---|---|\n"
        f"| parameters of the whole model | {parameters:,.1f} M |\n"
        f"| layers | {trunk} shared, {tail} a tail |\n"
        f"| width | {config.hidden_size} |\n"
        f"| text vocabulary, codes | {config.vocab_size}, {config.n_codes} |\n"
        f"| type | {type_name(model.dtype)}{stored} |\n"
        f"| licence | {licence} |\n\n"
        "The data and the consent are those of the model that this was exported from; see its "
        "card.\n"
    )
