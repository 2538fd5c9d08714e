"""Conversations of one model in slots: prompts in chunks, then all slots row by row.

A tail runs only where its channel's logits are asked for. Until then the trunk's outputs wait,
and the tail catches up on them in one piece. What is computed for a slot depends on the number
of slots and on its own rows and requests, never on its neighbours.
Shapes: B slots, T rows, C channels, S capacity, D width, H head width, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moss_speech.lm.decode import NewRows, RowStack, StackCache, project
from moss_speech.lm.grid import Rows
from moss_speech.lm.layers import Place, rotary
from moss_speech.lm.model import CHANNELS, Channel, LayerSplitLM

Wanted = Mapping[Channel, int]
"""Channels whose logits are asked for, and of how many last rows."""


@dataclass(frozen=True)
class Decoding:
    """How passes run; what they compute is the same up to rounding."""

    chunk_rows: int = 512
    """Rows of a prompt in one pass."""
    defer: bool = True
    """False runs both tails and heads on every row, as the released code does."""
    static: bool = False
    """Attend over the whole capacity with fixed shapes, as compilers and CUDA graphs need."""
    compiler: str | None = None
    """Backend of torch.compile for the row by row passes, such as "inductor"; needs `static`."""

    def __post_init__(self) -> None:
        if self.chunk_rows < 1:
            raise ValueError(f"chunk_rows is {self.chunk_rows}, must be at least 1")
        if self.compiler and not self.static:
            raise ValueError(f"compiler is {self.compiler!r}, which needs static = True")


EAGER = Decoding()


class SlotDecoder:
    """A model with room for `n_slots` conversations of up to `capacity` rows each."""

    def __init__(
        self, model: LayerSplitLM, n_slots: int, capacity: int, how: Decoding = EAGER
    ) -> None:
        limit = model.config.max_position_embeddings
        if not 1 <= capacity <= limit:
            raise ValueError(f"capacity is {capacity} rows, must be 1..{limit}")
        self.model, self.n_slots, self.capacity, self._how = model, n_slots, capacity, how
        self.lengths = [0] * n_slots
        self._rows_BSC = np.zeros((n_slots, capacity, 2), np.int64)
        self._done: dict[Channel, list[int]] = {c: [0] * n_slots for c in CHANNELS}
        like, config = model.model.embed_tokens.weight, model.config
        self._trunk_BSD = like.new_zeros(n_slots, capacity, config.hidden_size)
        stacks = {"trunk": model.model.shared_block} | {c: model.block(c) for c in CHANNELS}
        self._caches = {
            name: StackCache(stack, n_slots, capacity, like, config)
            for name, stack in stacks.items()
        }
        self._passes: dict[str, Any] = {
            name: self._compiled(RowStack(stack, self._caches[name], config))
            for name, stack in stacks.items()
        }
        positions_1S = torch.arange(capacity + 1, device=like.device)[None]
        cos_11SH, sin_11SH = rotary(positions_1S, config, like.dtype)
        self._cos_S1H, sin_S1H = cos_11SH[0, 0, :, None], sin_11SH[0, 0, :, None]
        first, second = sin_S1H.chunk(2, -1)
        self._sin_S1H = torch.cat((-first, second), -1)

    def _compiled(self, rows: RowStack) -> Any:
        if self._how.compiler is None:
            return rows
        graphs = self._how.compiler == "inductor" and self._trunk_BSD.is_cuda
        mode = "reduce-overhead" if graphs else None
        return torch.compile(rows, backend=self._how.compiler, dynamic=False, mode=mode)

    @property
    def slot_bytes(self) -> int:
        """Memory set aside for one conversation."""
        caches = [part for c in self._caches.values() for layer in c.layers for part in layer]
        return sum(part.nbytes for part in (self._trunk_BSD, *caches)) // self.n_slots

    def keep(self, slot: int, rows_TC: Rows) -> int:
        """Forget a slot's rows from the first that differs from these; how many it still has."""
        n_rows = min(self.lengths[slot], len(rows_TC))
        same_T = (self._rows_BSC[slot, :n_rows] == rows_TC[:n_rows]).all(1)
        kept = n_rows if same_T.all() else int(same_T.argmin())
        self.lengths[slot] = kept
        for done in self._done.values():
            done[slot] = min(done[slot], kept)
        return kept

    @torch.inference_mode()
    def extend(self, slot: int, rows_TC: Rows) -> None:
        """Put rows behind those of a slot, in chunks; only the trunk runs."""
        start, n_rows = self.lengths[slot], len(rows_TC)
        if start + n_rows > self.capacity:
            raise ValueError(
                f"slot {slot} would have {start + n_rows} rows, must be at most {self.capacity}"
            )
        device = self._trunk_BSD.device
        grid_TC = torch.from_numpy(np.ascontiguousarray(rows_TC)).to(device)
        for first in range(0, n_rows, self._how.chunk_rows):
            grid_1TC = grid_TC[None, first : first + self._how.chunk_rows]
            at, end = start + first, start + first + grid_1TC.shape[1]
            caches = self._caches["trunk"].of_slot(slot, at)
            x_1TD = self.model.trunk(grid_1TC, self._place(at, end), caches)
            self._trunk_BSD[slot, at:end] = x_1TD[0]
        self._rows_BSC[slot, start : start + n_rows] = rows_TC
        self.lengths[slot] = start + n_rows

    def _place(self, start: int, end: int) -> Place:
        """Rows `start` to `end` of one conversation, each seeing all before it."""
        positions_1T = torch.arange(start, end, device=self._trunk_BSD.device)[None]
        cos, sin = rotary(positions_1T, self.model.config, self.model.dtype)
        sees = None
        if start and end - start > 1:
            sees_TS = torch.ones(end - start, end, dtype=torch.bool, device=positions_1T.device)
            sees = sees_TS.tril(start)[None, None]
        return Place(cos, sin, sees)

    @torch.inference_mode()
    def logits(self, slot: int, channel: Channel, n_last: int = 1) -> Tensor:
        """Catch up on a slot's rows in one tail; logits of its `n_last` last rows, [n_last, V]."""
        done, end = self._done[channel][slot], self.lengths[slot]
        assert end - done >= n_last, "these rows went through the tail before"
        kept = []
        for at in range(done, end, self._how.chunk_rows):
            stop = min(end, at + self._how.chunk_rows)
            caches = self._caches[channel].of_slot(slot, at)
            x_1TD = self._trunk_BSD[slot, None, at:stop]
            out_1TD = self.model.tail(x_1TD, channel, self._place(at, stop), caches)
            kept.append(out_1TD[0, max(0, end - n_last - at) :])
        self._done[channel][slot] = end
        return project(torch.cat(kept), self.model.head(channel))

    @torch.inference_mode()
    def step(
        self, rows: Mapping[int, tuple[int, int]], wanted: Mapping[int, Wanted]
    ) -> dict[int, dict[Channel, Tensor]]:
        """Append one row to each slot in `rows`; what is wanted of each, [n_last, V]."""
        for slot in rows:
            if self.lengths[slot] >= self.capacity:
                raise ValueError(f"slot {slot} is full: {self.capacity} rows")
        taken = [(slot, self.lengths[slot]) for slot in rows]
        grid = [rows.get(slot, (0, 0)) for slot in range(self.n_slots)]
        grid_BC = torch.tensor(grid, device=self._trunk_BSD.device)
        x_BD = self._passes["trunk"](self.model.embed(grid_BC), self._new_rows(taken))
        for slot, at in taken:
            self._trunk_BSD[slot, at] = x_BD[slot]
            self._rows_BSC[slot, at] = rows[slot]
            self.lengths[slot] = at + 1
        return self._answers(x_BD, taken, wanted)

    def _answers(
        self, x_BD: Tensor, taken: list[tuple[int, int]], wanted: Mapping[int, Wanted]
    ) -> dict[int, dict[Channel, Tensor]]:
        """Tails and heads: together where one row is due, alone where more wait."""
        found: dict[int, dict[Channel, Tensor]] = {slot: {} for slot, _ in taken}
        for channel in CHANNELS:
            done = self._done[channel]
            asked = [(slot, at) for slot, at in taken if wanted[slot].get(channel)]
            due = [(slot, at) for slot, at in asked if done[slot] == at]
            late = [slot for slot, at in asked if done[slot] < at]
            for slot in late:
                found[slot][channel] = self.logits(slot, channel, wanted[slot][channel])
            if due:
                out_BD = self._passes[channel](x_BD, self._new_rows(due))
                out_BD = self.model.norm(channel)(out_BD)
                logits_BV = project(out_BD, self.model.head(channel))
                for slot, at in due:
                    done[slot] = at + 1
                    found[slot][channel] = logits_BV[slot, None]
        return found

    def _new_rows(self, taken: list[tuple[int, int]]) -> NewRows:
        at = [self.capacity] * self.n_slots
        for slot, position in taken:
            at[slot] = position
        at_B = torch.tensor(at, device=self._trunk_BSD.device)
        cos_B1H, sin_B1H = self._cos_S1H[at_B], self._sin_S1H[at_B]
        if not self._how.static:
            return NewRows(cos_B1H, sin_B1H, taken, at_B, None)
        sees_BS = torch.arange(self.capacity + 1, device=at_B.device) <= at_B[:, None]
        return NewRows(cos_B1H, sin_B1H, (), at_B, sees_BS[:, None, None])
