"""From a text model to a layer-split one: the speech side starts as a copy of the text side.

Shapes: D width, V vocabulary.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from moss_speech.lm.config import LMConfig
from moss_speech.lm.model import LayerSplitLM, channel_parameters

HEAD = "lm_head.weight"
"""The head of Qwen3ForCausalLM; a file of a model with tied embeddings may lack it."""


def initialise(model: LayerSplitLM, seed: int) -> None:
    """Draw every matrix from a normal distribution and set every norm to one."""
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        if weight.ndim == 1:
            nn.init.ones_(weight)
        else:
            nn.init.normal_(weight, std=model.config.initializer_range, generator=generator)


def copy_text_to_speech(model: LayerSplitLM, seed: int) -> None:
    """Make speech tail and norm equal to those of text; draw speech embedding and head anew.

    They are drawn with the spread of their text counterparts, so that the trunk and the tail
    meet values of the size they know.
    """
    parts = model.model
    parts.audio_block.load_state_dict(parts.text_block.state_dict())
    parts.audio_norm.load_state_dict(parts.text_norm.state_dict())
    generator = torch.Generator().manual_seed(seed)
    pairs = (
        (parts.audio_embed.weight, parts.embed_tokens.weight),
        (model.audio_lm_head.weight, model.text_lm_head.weight),
    )
    with torch.no_grad():
        for speech_VD, text_VD in pairs:
            drawn = torch.empty(speech_VD.shape).normal_(generator=generator)
            speech_VD.copy_(drawn * float(text_VD.float().std()))


def split_name(name: str, config: LMConfig) -> str:
    """The name in the split model of a tensor of Qwen3ForCausalLM; unknown names stay."""
    if name == "model.norm.weight":
        return "model.text_norm.weight"
    if name.startswith("lm_head."):
        return f"text_{name}"
    if not name.startswith("model.layers."):
        return name
    index, rest = name.removeprefix("model.layers.").split(".", 1)
    depth, trunk = int(index), config.num_shared_layers
    if depth < trunk:
        return f"model.shared_block.layers.{depth}.{rest}"
    return f"model.text_block.layers.{depth - trunk}.{rest}"


def split_tensors(tensors: Mapping[str, Tensor], config: LMConfig, tied: bool) -> dict[str, Tensor]:
    """Tensors of a Qwen3 text model under the names of the split model's text path.

    The head of a model with tied embeddings becomes a copy of its own.
    """
    named = {split_name(name, config): tensor for name, tensor in tensors.items()}
    if tied:
        named["text_lm_head.weight"] = named["model.embed_tokens.weight"].clone()
    return named


def qwen3_name(name: str, config: LMConfig) -> str:
    """The name in Qwen3ForCausalLM of a tensor of the text path: `split_name` turned round."""
    if name == "model.text_norm.weight":
        return "model.norm.weight"
    if name.startswith("text_lm_head."):
        return name.removeprefix("text_")
    for block, first in (("shared", 0), ("text", config.num_shared_layers)):
        prefix = f"model.{block}_block.layers."
        if name.startswith(prefix):
            index, rest = name.removeprefix(prefix).split(".", 1)
            return f"model.layers.{first + int(index)}.{rest}"
    return name


def qwen3_tensors(model: LayerSplitLM) -> dict[str, Tensor]:
    """The text path of a split model under the names of Qwen3ForCausalLM."""
    speech = channel_parameters(model, "audio")
    return {
        qwen3_name(name, model.config): w
        for name, w in model.state_dict().items()
        if name not in speech
    }
