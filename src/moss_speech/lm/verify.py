"""Whether an exported model says what its source says: every tensor, and logits on one input.

Quantised weights are right if each lies within half a step of its source; how far that moves
the logits is measured. Shapes: B batch, T rows, C channels (0 text, 1 speech), V vocabulary,
N outputs, K inputs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from moss_speech.lm.config import LMConfig
from moss_speech.lm.export import Layout, qwen3_json
from moss_speech.lm.load import load_lm
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.probe import largest_change, text_ids
from moss_speech.lm.quantize import (
    Scheme,
    check_quantized,
    hollow,
    quantize,
    quantized_layers,
    scheme_of,
)
from moss_speech.lm.split import qwen3_tensors, split_tensors
from moss_speech.lm.tensors import TensorFolder
from moss_speech.lm.torchao_format import read_scheme
from moss_speech.storage import read_json

_SEQUENCES = 4
_ROUNDING = 1e-5
"""Share of half a step that float32 arithmetic may add."""


@dataclass(frozen=True)
class Comparison:
    """What was compared and how far apart it is."""

    layout: Layout
    weights: str
    """`kept`, `int8` or `int4`."""
    tensors: int
    changed_tensors: int
    """Tensors with other bits; of quantised ones, those off by more than half a step."""
    logits: int
    largest_logit: float
    largest_change: float
    mean_change: float
    same_choice: float
    """Share of rows whose most likely id stays, in every channel."""

    @property
    def right(self) -> bool:
        """Every tensor is what its source makes it; without quantisation, every logit too."""
        return self.changed_tensors == 0 and (self.weights != "kept" or self.largest_change == 0.0)


def probe_rows(config: LMConfig) -> Tensor:
    """Rows of text and speech in turn, the same for equal sizes, [B, T, C]."""
    draw = torch.Generator().manual_seed(0)
    text_BT = text_ids(config, _SEQUENCES, draw)
    audio_BT = torch.randint(config.n_codes, text_BT.shape, generator=draw)
    spoken_BT = torch.rand(text_BT.shape, generator=draw) < 0.5
    return torch.stack((text_BT.masked_fill(spoken_BT, config.ids.modality_pad), audio_BT), -1)


@torch.inference_mode()
def compare(folder: Path, source: Path) -> Comparison:
    """Compare an exported folder with the model folder that it was made from.

    An unquantised Qwen3 folder is opened by transformers; of a quantised one our own layers read
    the tensors. `ValueError` if the two are not models of the same sizes.
    """
    model, values = load_lm(source), read_json(folder / "config.json")
    if values.get("model_type") != "qwen3":
        _check_sizes(values, model.config.to_json(), folder)
        return _compare_grid(load_lm(folder), model)
    _check_sizes(values, qwen3_json(model.config), folder)
    path = folder / "config.json"
    if (scheme := read_scheme(values, str(path))) is not None:
        return _compare_text(_text_path(folder, model, scheme), model)
    theirs = Qwen3ForCausalLM.from_pretrained(folder)
    text_BT = _text(model.config)
    pairs = [(theirs(text_BT).logits, model.text_logits(text_BT))]
    changed = _changed(theirs.state_dict(), qwen3_tensors(model))
    return _comparison("qwen3", None, len(qwen3_tensors(model)), changed, pairs)


def _check_sizes(values: dict[str, Any], expected: dict[str, Any], folder: Path) -> None:
    for key, want in expected.items():
        if (have := values.get(key, want)) != want:
            raise ValueError(
                f"{folder} is no export of this model: {key} is {have}, the model's is {want}"
            )


def _text(config: LMConfig) -> Tensor:
    return text_ids(config, _SEQUENCES, torch.Generator().manual_seed(0))


def _compare_grid(other: LayerSplitLM, model: LayerSplitLM) -> Comparison:
    grid_BTC = probe_rows(model.config)
    have, want = other(grid_BTC), model(grid_BTC)
    pairs = [(have.text_BTV, want.text_BTV), (have.audio_BTV, want.audio_BTV)]
    changed, scheme = _changed_in(other, model), scheme_of(other)
    return _comparison("released", scheme, len(model.state_dict()), changed, pairs)


def _text_path(folder: Path, model: LayerSplitLM, scheme: Scheme) -> LayerSplitLM:
    """The source, quantised, with the tensors of a quantised Qwen3 folder as text path."""
    source = model if scheme_of(model) == scheme else quantize(model, scheme)
    found = TensorFolder.open(folder)
    found.check(qwen3_tensors(source))
    other = hollow(model.config, scheme)
    tensors = source.state_dict() | split_tensors(found.read(), model.config, tied=False)
    other.load_state_dict(tensors, assign=True)
    check_quantized(other, str(folder))
    return other


def _compare_text(other: LayerSplitLM, model: LayerSplitLM) -> Comparison:
    text_BT = _text(model.config)
    pairs = [(other.text_logits(text_BT), model.text_logits(text_BT))]
    n_tensors, changed = len(qwen3_tensors(model)), _changed_in(other, model)
    return _comparison("qwen3", scheme_of(other), n_tensors, changed, pairs)


def _changed_in(other: LayerSplitLM, model: LayerSplitLM) -> int:
    """Tensors of `model` that `other` does not hold as its way of storing them makes them."""
    if (scheme := scheme_of(other)) is None or scheme_of(model) is not None:
        return _changed(other.state_dict(), model.state_dict())
    plain, want = other.state_dict(), quantize(model, scheme)
    kept = {name: w for name, w in want.state_dict().items() if name in model.state_dict()}
    layers, right = quantized_layers(other), quantized_layers(want)
    far = 0
    for name, layer in layers.items():
        weight_NK = model.get_submodule(name).get_parameter("weight").float()
        limit = right[name].step() * (0.5 + _ROUNDING)
        far += int(((layer.dequantize() - weight_NK).abs() > limit).any())
    return far + _changed({name: plain[name] for name in kept}, kept)


def _changed(have: dict[str, Tensor], want: dict[str, Tensor]) -> int:
    names = have.keys() | want.keys()
    return sum(not _equal(have.get(name), want.get(name)) for name in names)


def _comparison(
    layout: Layout,
    scheme: Scheme | None,
    n_tensors: int,
    changed: int,
    logits: list[tuple[Tensor, Tensor]],
) -> Comparison:
    wide = [(have.float(), want.float()) for have, want in logits]
    n_logits = sum(want.numel() for _, want in wide)
    same_BT = torch.stack([h.argmax(-1) == w.argmax(-1) for h, w in wide]).all(0)
    return Comparison(
        layout=layout,
        weights="kept" if scheme is None else scheme.bits,
        tensors=n_tensors,
        changed_tensors=changed,
        logits=n_logits,
        largest_logit=max(float(want.abs().max()) for _, want in wide),
        largest_change=max(largest_change(want, have) for have, want in wide),
        mean_change=sum(float((h - w).abs().sum()) for h, w in wide) / n_logits,
        same_choice=float(same_BT.float().mean()),
    )


def _equal(have: Tensor | None, want: Tensor | None) -> bool:
    if have is None or want is None:
        return False
    return have.dtype == want.dtype and torch.equal(have, want)
