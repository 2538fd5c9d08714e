"""Which weights learn from which step on (docs/reference/training.md section 4)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from moss_speech.lm.model import CHANNELS, Channel, LayerSplitLM, channel_parameters
from moss_speech.params.lm import Full, Layerwise, Shared, Unfreeze


@dataclass(frozen=True)
class Group:
    """Weights that start to learn together; those of no group stay frozen."""

    names: frozenset[str]
    start_step: int = 0
    lr_ratio: float = 1.0
    """Peak rate as a part of the run's."""


def everything(model: LayerSplitLM) -> list[Group]:
    """All weights from the first step on."""
    return [Group(frozenset(name for name, _ in model.named_parameters()))]


def speech_side(model: LayerSplitLM) -> list[Group]:
    """Speech embedding, tail, norm and head; trunk and text side stay frozen."""
    return [Group(frozenset(channel_parameters(model, "audio")))]


def schedule(model: LayerSplitLM, unfreeze: Unfreeze) -> list[Group]:
    """The groups of a joint stage."""
    match unfreeze:
        case Full():
            return everything(model)
        case Shared():
            text = channel_parameters(model, "text")
            return [Group(everything(model)[0].names - frozenset(text))]
        case Layerwise():
            return speech_side(model) + _back_to_front(model, unfreeze)


def _back_to_front(model: LayerSplitLM, p: Layerwise) -> list[Group]:
    """Text head and norm, text tail, trunk, text embedding: from the last layer to the first."""
    blocks = (("text", model.model.text_block), ("shared", model.model.shared_block))
    layers = [
        [f"model.{block}_block.layers.{i}." for i in range(len(stack.layers))][::-1]
        for block, stack in blocks
    ]
    order = [*layers[0], *layers[1]]
    cuts = range(0, len(order), p.layers_per_group)
    prefixes = [order[first : first + p.layers_per_group] for first in cuts] or [[]]
    prefixes[0] = ["text_lm_head.", "model.text_norm.", *prefixes[0]]
    prefixes[-1] = [*prefixes[-1], "model.embed_tokens."]
    names = everything(model)[0].names
    return [
        Group(
            frozenset(name for name in names if name.startswith(tuple(group))),
            k * p.steps_per_group,
            p.lr_ratio**k,
        )
        for k, group in enumerate(prefixes)
    ]


def learning_channels(model: LayerSplitLM, groups: Sequence[Group]) -> list[Channel]:
    """Channels whose loss is learnt from: those whose path holds more than the other's weights.

    In the frozen stage that is speech alone: the text path has no weight that learns.
    """
    learning = frozenset[str]().union(*(group.names for group in groups))

    def others(channel: Channel) -> Collection[str]:
        return channel_parameters(model, CHANNELS[1 - CHANNELS.index(channel)])

    return [channel for channel in CHANNELS if learning - frozenset(others(channel))]


def check_starts(groups: Sequence[Group], steps: int, at_once: bool) -> None:
    """`ValueError` for a group that starts too late to learn, or, if `at_once`, after others."""
    last = max(group.start_step for group in groups)
    if last >= steps:
        raise ValueError(f"the last weights start to learn at step {last}, must be 0..{steps - 1}")
    if at_once and last:
        raise ValueError(f"weights start to learn at step {last}, must be 0 with sharded weights")
