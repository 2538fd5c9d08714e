"""Fitting the language model: text backbone, frozen stage, joint stage, fine-tuning.

Shapes: B packed rows, L grid rows, C channels (0 text, 1 speech), D width, R rows with a target.
"""

from collections.abc import Set
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from moss_speech.corpus.packing.packed import PREFIX, Packed
from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import IGNORE
from moss_speech.lm.layers import Place
from moss_speech.lm.model import CHANNELS, Channel, LayerSplitLM, channel_parameters
from moss_speech.params.lm import LMFit
from moss_speech.training.launch import Fit, fit
from moss_speech.training.optim import adamw


class PackedBatch(NamedTuple):
    """Some packed rows: grid, targets, sequence numbers (0 prefix, -1 filling) and positions."""

    grid_BLC: Tensor
    targets_BLC: Tensor
    document_BL: Tensor
    position_BL: Tensor


def take(packed: Packed, indices: Any) -> PackedBatch:
    """The packed rows with these indices as one batch."""
    parts = (packed.rows_NLC, packed.targets_NLC, packed.document_NL, packed.position_NL)
    return PackedBatch(*(torch.from_numpy(part[indices].astype(np.int64)) for part in parts))


def block_mask(document_BL: Tensor) -> Tensor:
    """Attention mask, [B, 1, L, L]: each row sees the prefix and its own sequence up to itself."""
    n_rows = document_BL.shape[1]
    seen_BLL = document_BL[:, :, None] == document_BL[:, None, :]
    seen_BLL |= document_BL[:, None, :] == PREFIX
    causal_LL = torch.ones(n_rows, n_rows, dtype=torch.bool, device=document_BL.device).tril()
    return torch.where(seen_BLL & causal_LL, 0.0, -torch.inf).unsqueeze(1)


def _narrow(place: Place, keep_B: Tensor) -> Place:
    mask = place.mask_B1TS
    return Place(
        place.cos_B1TH[keep_B], place.sin_B1TH[keep_B], None if mask is None else mask[keep_B]
    )


class LossSum(NamedTuple):
    """Summed cross entropy of one channel and how many targets it covers."""

    total: Tensor
    n_targets: int


def channel_loss(
    model: LayerSplitLM, x_BLD: Tensor, targets_BL: Tensor, channel: Channel, place: Place
) -> LossSum:
    """Cross entropy of one channel in float32.

    The tail runs on packed rows that have targets for it, the head on rows with a target.
    """
    wanted_BL = targets_BL != IGNORE
    keep_B = wanted_BL.any(-1)
    if not keep_B.any():
        return LossSum(x_BLD.new_zeros(()), 0)
    out_BLD = model.tail(x_BLD[keep_B], channel, _narrow(place, keep_B))
    wanted_BL, targets_R = wanted_BL[keep_B], targets_BL[wanted_BL]
    logits_RV = model.head(channel)(out_BLD[wanted_BL]).float()
    return LossSum(F.cross_entropy(logits_RV, targets_R, reduction="sum"), len(targets_R))


def batch_losses(model: LayerSplitLM, batch: PackedBatch) -> dict[Channel, LossSum]:
    """The losses of both channels on packed rows."""
    mask = block_mask(batch.document_BL).to(model.text_lm_head.weight.dtype)
    place = model.place(batch.grid_BLC, batch.position_BL, mask)
    x_BLD = model.trunk(batch.grid_BLC, place)
    return {
        channel: channel_loss(model, x_BLD, batch.targets_BLC[..., c], channel, place)
        for c, channel in enumerate(CHANNELS)
    }


def with_noise(batch: PackedBatch, heard: float, reply: float, config: LMConfig) -> PackedBatch:
    """The batch with shares of its codes replaced by random codes: of heard ones, of replies.

    Noise on a reply keeps the model from finding the next code by the last ones alone.
    """
    text_BL, audio_BL = batch.grid_BLC.unbind(-1)
    is_code_BL = (text_BL == config.ids.modality_pad) & (audio_BL < config.n_codes)
    learnt_BL = batch.targets_BLC[..., 1] != IGNORE
    share_BL = torch.where(learnt_BL, reply, heard)
    hit_BL = is_code_BL & (torch.rand(audio_BL.shape, device=audio_BL.device) < share_BL)
    random_BL = torch.randint_like(audio_BL, config.n_codes)
    grid_BLC = torch.stack((text_BL, torch.where(hit_BL, random_BL, audio_BL)), -1)
    return batch._replace(grid_BLC=grid_BLC)


class LMModule(pl.LightningModule):
    """Next-row prediction on both channels."""

    def __init__(self, model: LayerSplitLM, p: LMFit) -> None:
        super().__init__()
        self.model, self._p = model, p
        model.set_dropout(p.dropout)

    def training_step(self, batch: PackedBatch, _: int) -> Tensor:
        """Weighted sum of the mean loss of each channel."""
        noisy = with_noise(batch, self._p.code_noise, self._p.reply_noise, self.model.config)
        weights = {"text": self._p.text_weight, "audio": self._p.speech_weight}
        loss = torch.zeros((), device=self.device)
        for channel, part in batch_losses(self.model, noisy).items():
            if part.n_targets:
                mean = part.total / part.n_targets
                self.log(f"{channel}_loss", mean.detach())
                loss = loss + weights[channel] * mean
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW over what is not frozen."""
        optimizer, schedule = adamw(self.model.parameters(), self._p)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fit_lm(
    model: LayerSplitLM,
    packed: Packed,
    p: LMFit,
    how: Fit,
    frozen_text: bool = False,
    only: Set[str] | None = None,
) -> None:
    """Train `model` in place on packed rows; `frozen_text` trains the speech side alone.

    `only` names the weights that are trained instead of all.
    """
    trained = channel_parameters(model, "audio").keys() if frozen_text else only
    for name, weight in model.named_parameters():
        weight.requires_grad_(trained is None or name in trained)

    def batch_of_step(step: int) -> PackedBatch:
        first = step * p.packed_rows_per_step
        return take(packed, np.arange(first, first + p.packed_rows_per_step) % len(packed))

    fit(LMModule(model.train(), p), batch_of_step, how)
    model.set_dropout(0.0)
    model.requires_grad_(True).eval()
