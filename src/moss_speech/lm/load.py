"""Model folders in and out: the published MOSS-Speech layout and Qwen3 text checkpoints.

Every name and shape must fit; what does not is refused by name (docs/reference/format.md 2).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from moss_speech.lm.config import LMConfig, id_values, read_config, write_config
from moss_speech.lm.model import LayerSplitLM, channel_parameters
from moss_speech.lm.split import copy_text_to_speech, split_tensors
from moss_speech.lm.tokenizer import TextTokenizer
from moss_speech.storage import read_json
from moss_speech.vocab import SpecialIds

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def load_lm(folder: Path) -> LayerSplitLM:
    """Open a model folder in the published layout, in the type its tensors have.

    Raises `ValueError` for a missing, extra, misshapen or non-finite tensor, naming it.
    """
    config = read_config(folder)
    return _assemble(config, read_tensors(folder), folder).eval()


def save_lm(model: LayerSplitLM, folder: Path, tokenizer: TextTokenizer) -> None:
    """Write config.json, model.safetensors and tokenizer.json into an existing folder."""
    write_config(model.config, folder)
    tensors = {name: w.detach().contiguous() for name, w in model.state_dict().items()}
    save_file(tensors, folder / _SINGLE, metadata={"format": "pt"})
    tokenizer.save(folder)


def load_qwen3(folder: Path, n_tail_layers: int, n_codes: int, ids: SpecialIds) -> LayerSplitLM:
    """Split a Qwen3 text checkpoint: its last `n_tail_layers` layers become both tails.

    Sharded or single, tied or untied. The speech vocabulary has room for `ids.eosp`,
    `ids.audio_pad` and the published reserve of 127 unused ids.
    """
    config = qwen3_config(read_json(folder / "config.json"), n_tail_layers, n_codes, ids)
    model = LayerSplitLM(config)
    speech = channel_parameters(model, "audio")
    expected = {k: w for k, w in model.state_dict().items() if k not in speech}
    tensors = split_tensors(read_tensors(folder), config)
    _check(tensors, expected, folder)
    model.load_state_dict(tensors, strict=False)
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


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder with one safetensors file or an index of several."""
    if (folder / _INDEX).is_file():
        names = sorted(set(read_json(folder / _INDEX)["weight_map"].values()))
    elif (folder / _SINGLE).is_file():
        names = [_SINGLE]
    else:
        raise ValueError(f"{folder} holds neither {_SINGLE} nor {_INDEX}")
    tensors: dict[str, Tensor] = {}
    for name in names:
        try:
            with safe_open(folder / name, framework="pt") as stream:
                tensors |= {key: stream.get_tensor(key).clone() for key in stream.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{folder / name} is no whole safetensors file: {error}") from error
    return tensors


def _check(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: Path) -> None:
    if missing := sorted(expected.keys() - tensors.keys()):
        raise ValueError(f"{where} lacks {len(missing)} tensors, first {missing[0]!r}")
    if extra := sorted(tensors.keys() - expected.keys()):
        raise ValueError(f"{where} has {len(extra)} tensors too many, first {extra[0]!r}")
    for name, want in expected.items():
        have = tensors[name]
        if have.shape != want.shape:
            raise ValueError(
                f"{where}: {name} has shape {list(have.shape)}, must be {list(want.shape)}"
            )
        if not torch.isfinite(have).all():
            raise ValueError(f"{where}: {name} holds NaN or infinite values")


def _assemble(config: LMConfig, tensors: dict[str, Tensor], where: Path) -> LayerSplitLM:
    with torch.device("meta"):
        model = LayerSplitLM(config)
    _check(tensors, model.state_dict(), where)
    model.load_state_dict(tensors, assign=True)
    return model
