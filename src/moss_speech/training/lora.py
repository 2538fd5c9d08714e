"""Low-rank adapters (peft) in trunk and tails, merged into the plain weights after training.

Embeddings, norms and heads stay as they are: a part is its layers' projections."""

from typing import Any

import torch

from moss_speech.lm.model import LayerSplitLM
from moss_speech.params.lm import Lora

_BLOCKS = {"trunk": "shared_block", "text": "text_block", "audio": "audio_block"}


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise ValueError("finetune.lora needs peft: install moss-speech[lora]") from error
    return peft


def add_lora(model: LayerSplitLM, lora: Lora, seed: int) -> set[str]:
    """Put adapters that change nothing yet into `model`; the names of their weights.

    Equal seeds give equal adapters, in float32 whatever the model's type. Raises `ValueError` if
    peft is missing or a part has no layers in this model.
    """
    peft = _peft()
    targets = _targets(model, lora)
    config = peft.LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(config, model.model)
    return {name for name, _ in model.named_parameters() if ".lora_" in name}


def _targets(model: LayerSplitLM, lora: Lora) -> list[str]:
    """Names of the projections that get an adapter, inside `model.model`."""
    n_tail = model.config.num_modality_layers
    layers = {"trunk": model.config.num_shared_layers, "text": n_tail, "audio": n_tail}
    for part in lora.parts:
        if not layers[part]:
            there = ", ".join(part for part, n in layers.items() if n)
            raise ValueError(f"lora.parts names {part!r}, must be of those with layers: {there}")
    blocks = tuple(f"{_BLOCKS[part]}." for part in lora.parts)
    return [
        name
        for name, _ in model.model.named_modules()
        if name.startswith(blocks) and name.rpartition(".")[2] in lora.modules
    ]


def merge_lora(model: LayerSplitLM) -> None:
    """Add each adapter to its weight and take it out: plain modules under the published names.

    A sum is rounded once to the weight's type, so in bfloat16 a change below half a unit in a
    weight's last place is lost. Raises `ValueError` if a sum is not finite.
    """
    layer_class = _peft().tuners.lora.LoraLayer
    for name, module in list(model.named_modules()):
        if isinstance(module, layer_class):
            module.merge(safe_merge=True)
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, module.get_base_layer())
    del model.model.peft_config
