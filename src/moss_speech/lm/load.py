"""Model folders in and out: the published MOSS-Speech layout and Qwen3 text checkpoints.

Every name and shape must fit; what does not is refused by name (docs/reference/format.md 2).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from moss_speech.lm.config import LMConfig, id_values, read_config
from moss_speech.lm.model import LayerSplitLM, channel_parameters
from moss_speech.lm.quantize import check_quantized, hollow, scheme_of
from moss_speech.lm.split import HEAD, copy_text_to_speech, qwen3_tensors, split_tensors
from moss_speech.lm.tensors import TensorFolder, type_name, write_tensors
from moss_speech.lm.tokenizer import TextTokenizer
from moss_speech.lm.torchao_format import CONFIG_KEY, file_metadata, read_scheme, scheme_json
from moss_speech.storage import read_json, write_json
from moss_speech.vocab import SpecialIds

MAX_SHARD_BYTES = 5 * 10**9
"""Largest file of weights, as is usual for published checkpoints."""


def load_lm(folder: Path) -> LayerSplitLM:
    """Open a model folder in the published layout, in the type its tensors have.

    Raises `ValueError` for a missing, extra, misshapen or non-finite tensor, naming it, and for
    quantised weights other than ours.
    """
    config, tensors = read_config(folder), TensorFolder.open(folder)
    path = folder / "config.json"
    model = hollow(config, read_scheme(read_json(path), str(path)))
    tensors.check(model.state_dict())
    model.load_state_dict(tensors.read(), assign=True)
    check_quantized(model, str(folder))
    return model.eval()


def save_lm(
    model: LayerSplitLM,
    folder: Path,
    tokenizer: TextTokenizer,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write config.json, the weights and tokenizer.json into an existing folder."""
    write_model(model, model.config.to_json(), model.state_dict(), folder, max_shard_bytes)
    tokenizer.save(folder)


def write_model(
    model: LayerSplitLM,
    config: dict[str, Any],
    tensors: Mapping[str, Tensor],
    folder: Path,
    max_shard_bytes: int,
) -> None:
    """Write a config, with the type and quantisation of `model`, and tensors in some layout."""
    dtype, scheme = type_name(model.dtype), scheme_of(model)
    quantised = {} if scheme is None else {CONFIG_KEY: scheme_json(scheme)}
    types = {"dtype": dtype, "torch_dtype": dtype}
    write_json(folder / "config.json", {**config, **types, **quantised})
    write_tensors(tensors, folder, max_shard_bytes, file_metadata(tensors, model.dtype))


def load_qwen3(folder: Path, n_tail_layers: int, n_codes: int, ids: SpecialIds) -> LayerSplitLM:
    """Split a Qwen3 text checkpoint: its last `n_tail_layers` layers become both tails.

    Sharded or single, tied or untied. The speech vocabulary has room for `ids.eosp`,
    `ids.audio_pad` and the published reserve of 127 unused ids.
    """
    values = read_json(folder / "config.json")
    config = qwen3_config(values, n_tail_layers, n_codes, ids)
    model = hollow(config, None)
    expected, speech = qwen3_tensors(model), channel_parameters(model, "audio")
    if (scheme := read_scheme(values, str(folder / "config.json"))) is not None:
        raise ValueError(f"{folder} holds {scheme.bits} weights, must hold unquantised ones")
    found = TensorFolder.open(folder)
    tied = bool(values.get("tie_word_embeddings"))
    if tied and HEAD not in found.shapes:
        del expected[HEAD]
    found.check(expected)
    tensors = split_tensors(found.read(), config, tied)
    dtype = tensors["model.embed_tokens.weight"].dtype
    tensors |= {name: torch.empty(w.shape, dtype=dtype) for name, w in speech.items()}
    model.load_state_dict(tensors, assign=True)
    copy_text_to_speech(model, seed=0)
    return model.eval()


def qwen3_config(
    values: dict[str, Any], n_tail_layers: int, n_codes: int, ids: SpecialIds
) -> LMConfig:
    """The split model's config from the config.json of a Qwen3 text model."""
    n_layers = values["num_hidden_layers"]
    if not 0 <= n_tail_layers <= n_layers:
        raise ValueError(f"n_tail_layers is {n_tail_layers}, must be 0..{n_layers} (the model's)")
    rope = values.get("rope_parameters") or {"rope_theta": values.get("rope_theta")}
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_type is {rope['rope_type']!r}, must be 'default'")
    own = {
        **values,
        "rope_theta": rope["rope_theta"],
        "audio_vocab_size": max(n_codes + 128, ids.audio_pad + 1),
        "num_shared_layers": n_layers - n_tail_layers,
        "num_modality_layers": n_tail_layers,
        "tie_word_embeddings": False,
        **id_values(ids),
    }
    return LMConfig.from_json(own, "config.json of the Qwen3 model")
