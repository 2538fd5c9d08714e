"""The loss of packed rows: block-diagonal attention, tails and heads only where there are targets.

Shapes: B packed rows, L grid rows, C channels (0 text, 1 speech), D width, R rows with a target.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from moss_speech.corpus.packing.packed import PREFIX
from moss_speech.lm.grid import IGNORE
from moss_speech.lm.layers import Place
from moss_speech.lm.model import CHANNELS, Channel, LayerSplitLM
from moss_speech.training.cross_entropy import cross_entropy_sum
from moss_speech.training.lm_batches import PackedBatch


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


class PackedLoss(nn.Module):
    """Summed cross entropy of some channels on packed rows.

    A tail runs on packed rows that have targets for it, its head on rows with a target. With
    `in_step` a tail without any still runs on one packed row if the step has targets for it
    elsewhere: ranks that share sharded weights must all ask for them. So do all tails of a batch
    without any target, which is to have gradients of zero.
    """

    def __init__(
        self, model: LayerSplitLM, channels: Collection[Channel] = CHANNELS, in_step: bool = False
    ) -> None:
        super().__init__()
        self.model, self._in_step = model, in_step
        self._channels = tuple((c, name) for c, name in enumerate(CHANNELS) if name in channels)

    def forward(self, batch: PackedBatch) -> dict[Channel, Tensor]:
        """The sums of all channels that the step has targets for."""
        mask = block_mask(batch.document_BL).to(self.model.dtype)
        place = self.model.place(batch.grid_BLC, batch.position_BL, mask)
        x_BLD = self.model.trunk(batch.grid_BLC, place)
        always = self._in_step or not bool((batch.targets_BLC != IGNORE).any())
        return {
            channel: self._channel(x_BLD, batch.targets_BLC[..., c], channel, place, always)
            for c, channel in self._channels
            if batch.step_targets_C[c] > 0
        }

    def _channel(
        self, x_BLD: Tensor, targets_BL: Tensor, channel: Channel, place: Place, always: bool
    ) -> Tensor:
        wanted_BL = targets_BL != IGNORE
        keep_B = wanted_BL.any(-1)
        if not keep_B.any():
            if not always:
                return x_BLD.new_zeros(())
            keep_B[0] = True
        out_BLD = self.model.tail(x_BLD[keep_B], channel, _narrow(place, keep_B))
        hidden_RD, targets_R = out_BLD[wanted_BL[keep_B]], targets_BL[wanted_BL]
        return cross_entropy_sum(
            hidden_RD, self.model.head(channel).get_parameter("weight"), targets_R
        )
