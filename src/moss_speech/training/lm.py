"""Fitting the language model: text backbone, frozen stage, joint stage, fine-tuning.

What is computed: docs/reference/training.md.
"""

import copy
from collections.abc import Collection, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from moss_speech.corpus.packing.packed import Packed
from moss_speech.lm.layers import Stack, run_layer
from moss_speech.lm.model import CHANNELS, LayerSplitLM
from moss_speech.params.lm import LMFit
from moss_speech.training.launch import Fit, fit
from moss_speech.training.lm_batches import PackedBatch, PackedSteps
from moss_speech.training.lm_loss import PackedLoss
from moss_speech.training.optim import Learning, adamw_groups
from moss_speech.training.sharding import copy_back, shard
from moss_speech.training.unfreeze import Group, check_starts, everything, learning_channels


class LMModule(pl.LightningModule):
    """Next-row prediction on the channels that are learnt."""

    def __init__(self, loss: PackedLoss, p: LMFit, groups: Sequence[Group]) -> None:
        super().__init__()
        self.loss = loss
        self._p, self._groups, self._means = p, groups, dict[str, Tensor]()

    def on_train_batch_start(self, batch: PackedBatch, batch_idx: int) -> None:
        """Unfreeze what starts at this step; forget the last step's losses."""
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            self._means = {}
            for group, weights in self._weights():
                for weight in weights:
                    weight.requires_grad_(self.global_step >= group.start_step)

    def training_step(self, batch: PackedBatch, _: int) -> Tensor:
        """This part's share of the weighted sum of the mean loss of each channel in the step.

        Passes and ranks are averaged afterwards, so the share is as many times as large.
        """
        weights = {"text": self._p.text_weight, "audio": self._p.speech_weight}
        n_ranks, loss = self.trainer.world_size, torch.zeros((), device=self.device)
        for channel, total in self.loss(batch).items():
            mean = total / batch.step_targets_C[CHANNELS.index(channel)]
            name = f"{channel}_loss"
            self._means[name] = self._means.get(name, 0.0) + mean.detach()
            self.log(name, self._means[name], sync_dist=n_ranks > 1, reduce_fx="sum")
            loss = loss + weights[channel] * mean
        return loss * (n_ranks * self.trainer.accumulate_grad_batches)

    def configure_optimizers(self) -> Any:
        """AdamW over all groups; those that start later have no state until then."""
        learning = [Learning(w, g.start_step, g.lr_ratio) for g, w in self._weights()]
        optimizer, schedule = adamw_groups(learning, self._p)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _weights(self) -> list[tuple[Group, list[nn.Parameter]]]:
        named = list(self.loss.model.named_parameters())
        return [(g, [w for name, w in named if name in g.names]) for g in self._groups]


class ShardedLMModule(LMModule):
    """The same on shards of a copy of the model, which gets the result in the end."""

    def __init__(self, loss: PackedLoss, p: LMFit, groups: Sequence[Group]) -> None:
        super().__init__(copy.deepcopy(loss), p, groups)
        self._result = [loss.model]  # in a list, so that it is not a part of this module

    def configure_model(self) -> None:
        """Shard each layer, then the rest."""
        assert self.device_mesh is not None
        shard(self.loss, self.device_mesh)

    def on_train_end(self) -> None:
        """Gather the weights."""
        copy_back(self.loss.model, self._result[0])


def n_passes(p: LMFit, n_ranks: int) -> int:
    """Passes of each rank in a step."""
    rows_of_rank = -(-p.packed_rows_per_step // n_ranks)
    return -(-rows_of_rank // p.packed_rows_per_pass)


def _widen(model: LayerSplitLM, names: Collection[str]) -> dict[str, torch.dtype]:
    """Hold weights in float32, where no small step is lost to rounding; what they were before."""
    chosen = {name: w for name, w in model.named_parameters() if name in names}
    before = {name: w.dtype for name, w in chosen.items()}
    for weight in chosen.values():
        weight.data = weight.data.float()
    return before


def _run_layers(model: LayerSplitLM, p: LMFit | None) -> None:
    """Run layers as the params say: compiled, recomputed; None as written."""
    call: Any = torch.compile(run_layer, backend=p.compile) if p and p.compile else run_layer

    def recomputed(layer: nn.Module, *args: Any) -> Tensor:
        out_BTD: Tensor = checkpoint(call, layer, *args, use_reentrant=False)
        return out_BTD

    for module in model.modules():
        if isinstance(module, Stack):
            module.run_layer = recomputed if p and p.activation_checkpointing else call


def fit_lm(
    model: LayerSplitLM,
    packed: Packed,
    p: LMFit,
    how: Fit,
    groups: Sequence[Group] | None = None,
) -> None:
    """Train the weights of `groups` in place on packed rows; None trains all.

    Narrow weights learn in float32 and are rounded to their type in the end.
    Raises `ValueError` for groups that would never start, or packed rows without a target for
    what learns.
    """
    groups, sharded = groups or everything(model), how.ranks.strategy == "fsdp"
    check_starts(groups, p.steps, at_once=sharded)
    weights = {"text": p.text_weight, "audio": p.speech_weight}
    channels = [c for c in learning_channels(model, groups) if weights[c] > 0]
    passes = n_passes(p, how.ranks.count)
    steps = PackedSteps(packed, p, model.config, channels, how.seed)
    learning = frozenset[str]().union(*(group.names for group in groups))
    mixed = p.precision == "bf16" and not sharded  # where frozen weights may stay narrow
    types = _widen(model, learning if mixed else everything(model)[0].names)
    for name, weight in model.named_parameters():
        weight.requires_grad_(name in learning)
    model.set_dropout(p.dropout)
    _run_layers(model, p)
    loss = PackedLoss(model.train(), channels, in_step=sharded)
    fit((ShardedLMModule if sharded else LMModule)(loss, p, groups), steps, how, passes)
    _run_layers(model, None)
    for name, dtype in types.items():
        weight = model.get_parameter(name)
        weight.data = weight.data.to(dtype)
    model.set_dropout(0.0)
    model.requires_grad_(True).eval()
