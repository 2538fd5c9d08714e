"""Packed rows as batches: a step's batch is a pure function of pack, params, seed and step.

Shapes: N packed rows of a pack, B of a batch, L grid rows, C channels (0 text, 1 speech).
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from moss_speech.corpus.packing.packed import Packed
from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import IGNORE
from moss_speech.lm.model import CHANNELS, Channel
from moss_speech.params.lm import LMFit


class PackedBatch(NamedTuple):
    """Some packed rows: grid, targets, sequence numbers (0 prefix, -1 filling) and positions."""

    grid_BLC: Tensor
    targets_BLC: Tensor
    document_BL: Tensor
    position_BL: Tensor
    index_B: Tensor
    """Which packed rows they are."""
    step_targets_C: Tensor
    """Targets of each channel in the whole step, of which this batch may be a part."""

    def part(self, index: int, count: int) -> "PackedBatch":
        """One of `count` parts that are as equal as can be; the step's targets stay.

        Past the last packed row a part is one row without targets, so that every rank has work.
        """
        *rows, step_targets_C = self
        if index < len(self.index_B):
            parts = [r.tensor_split(count)[index] for r in rows]
            return PackedBatch._make([*parts, step_targets_C])
        idle = PackedBatch._make([*(r[:1] for r in rows), step_targets_C])
        no_targets_BLC = torch.full_like(idle.targets_BLC, IGNORE)
        return idle._replace(targets_BLC=no_targets_BLC, index_B=self.index_B[:0])

    def item_ids(self) -> list[int]:
        """Numbers of the packed rows."""
        return [int(i) for i in self.index_B]


def take(packed: Packed, indices: Any) -> PackedBatch:
    """The packed rows with these indices as one whole step."""
    parts = (packed.rows_NLC, packed.targets_NLC, packed.document_NL, packed.position_NL)
    taken = [torch.from_numpy(part[indices].astype(np.int64)) for part in parts]
    n_targets_C = (taken[1] != IGNORE).sum((0, 1))
    return PackedBatch._make([*taken, torch.as_tensor(indices), n_targets_C])


def with_noise(
    batch: PackedBatch, heard: float, reply: float, config: LMConfig, draw: torch.Generator
) -> PackedBatch:
    """The batch with shares of its codes replaced by random codes: of heard ones, of replies.

    Noise on a reply keeps the model from finding the next code by the last ones alone.
    """
    text_BL, audio_BL = batch.grid_BLC.unbind(-1)
    is_code_BL = (text_BL == config.ids.modality_pad) & (audio_BL < config.n_codes)
    learnt_BL = batch.targets_BLC[..., 1] != IGNORE
    share_BL = torch.where(learnt_BL, reply, heard)
    hit_BL = is_code_BL & (torch.rand(audio_BL.shape, generator=draw) < share_BL)
    random_BL = torch.randint(config.n_codes, audio_BL.shape, generator=draw)
    grid_BLC = torch.stack((text_BL, torch.where(hit_BL, random_BL, audio_BL)), -1)
    return batch._replace(grid_BLC=grid_BLC)


class PackedSteps:
    """Step number to batch: the packed rows in order, round after round.

    Rows without a target in `channels` teach nothing and are left out. Raises `ValueError` if no
    row is left.
    """

    def __init__(
        self,
        packed: Packed,
        p: LMFit,
        config: LMConfig,
        channels: Collection[Channel],
        seed: int,
    ) -> None:
        wanted = [c for c, channel in enumerate(CHANNELS) if channel in channels]
        has_target_N = (packed.targets_NLC[..., wanted] != IGNORE).any((1, 2))
        self._index_M = np.flatnonzero(has_target_N)
        if not self._index_M.size:
            names = " or ".join(channels)
            raise ValueError(f"none of {len(packed)} packed rows has a target in {names}")
        self._packed, self._p, self._config, self._seed = packed, p, config, seed

    def __call__(self, step: int) -> PackedBatch:
        """The batch of a step."""
        n_rows = self._p.packed_rows_per_step
        turn = np.arange(step * n_rows, (step + 1) * n_rows) % len(self._index_M)
        draw = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        batch = take(self._packed, self._index_M[turn])
        return with_noise(batch, self._p.code_noise, self._p.reply_noise, self._config, draw)
