"""Row-by-row generation with key-value caches in slots: alone, in a batch, or as a stream.

A slot holds one conversation; conversations at different positions step together. What is
computed for a slot depends on the number and capacity of slots, never on its neighbours.
Shapes: B slots, T rows, C channels, S capacity, K key-value heads, H head width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import Rows, reply_codes
from moss_speech.lm.layers import LayerCache, Stack
from moss_speech.lm.model import GridLogits, LayerSplitLM, PassCache
from moss_speech.lm.sampling import Reply, Sampling

_BLOCK_ROWS = 64
"""Capacities are rounded up to this, so that similar requests meet the same shapes."""


@dataclass(frozen=True)
class Generated:
    """What one request produced."""

    rows_TC: Rows
    codes: list[int]
    """Codes of the first speech segment; empty for a text reply."""
    stopped: bool
    """True if the model ended the reply itself, False at the row limit."""


@dataclass(frozen=True)
class NewRow:
    """One generated row of a stream."""

    text: int
    audio: int
    is_code: bool
    """True if `audio` is a code to be spoken."""
    last: bool


class _StackCache:
    """Keys and values of all layers of a stack for all slots, [B, S, K, H] each."""

    def __init__(self, stack: Stack, n_slots: int, capacity: int, like: Tensor, c: LMConfig):
        shape = (n_slots, capacity, c.num_key_value_heads, c.head_dim)
        self._layers = [
            (like.new_zeros(shape), like.new_zeros(shape)) for _ in range(len(stack.layers))
        ]

    def view(self, slots: slice, rows_BT: Tensor, seen: int) -> list[LayerCache]:
        """The part that one pass over `slots` writes and sees."""
        return [LayerCache(k[slots], v[slots], rows_BT, seen) for k, v in self._layers]


class SlotDecoder:
    """A model with room for `n_slots` conversations of up to `capacity` rows each."""

    def __init__(self, model: LayerSplitLM, n_slots: int, capacity: int) -> None:
        limit = model.config.max_position_embeddings
        if not 1 <= capacity <= limit:
            raise ValueError(f"capacity is {capacity} rows, must be 1..{limit}")
        self.model, self.n_slots, self.capacity = model, n_slots, capacity
        self._lengths_B = torch.zeros(n_slots, dtype=torch.long)
        parts, like = model.model, model.model.text_norm.weight
        self._caches = [
            _StackCache(stack, n_slots, capacity, like, model.config)
            for stack in (parts.shared_block, parts.text_block, parts.audio_block)
        ]

    def _view(self, slots: slice, rows_BT: Tensor, seen: int) -> PassCache:
        return PassCache(*(cache.view(slots, rows_BT, seen) for cache in self._caches))

    @torch.inference_mode()
    def prefill(self, slot: int, rows_TC: Rows) -> GridLogits:
        """Put a conversation into a slot, replacing what was there; logits of its last row, [V]."""
        n_rows = len(rows_TC)
        if not 1 <= n_rows <= self.capacity:
            raise ValueError(f"the prompt has {n_rows} rows, must be 1..{self.capacity}")
        rows_BT = torch.arange(n_rows)[None]
        grid_BTC = torch.from_numpy(np.ascontiguousarray(rows_TC))[None]
        cache = self._view(slice(slot, slot + 1), rows_BT, n_rows)
        self._lengths_B[slot] = n_rows
        logits = self.model(grid_BTC, self.model.place(grid_BTC), cache)
        return GridLogits(logits.text_BTV[0, -1], logits.audio_BTV[0, -1])

    @torch.inference_mode()
    def step(self, rows_BC: Tensor, active_B: Tensor) -> GridLogits:
        """Append one row to every active slot; logits for all slots, [B, V].

        Rows of inactive slots are ignored and leave no trace.
        """
        full_B = active_B & (self._lengths_B >= self.capacity)
        if full_B.any():
            raise ValueError(f"slot {int(full_B.nonzero()[0])} is full: {self.capacity} rows")
        at_B = torch.where(active_B, self._lengths_B, self._lengths_B.clamp(max=self.capacity - 1))
        grid_BTC, rows_BT = rows_BC[:, None], at_B[:, None]
        sees_BS = torch.arange(self.capacity) <= rows_BT
        mask_BS = torch.where(sees_BS, 0.0, -torch.inf).to(self.model.dtype)
        place = self.model.place(grid_BTC, rows_BT, mask_BS[:, None, None])
        logits = self.model(grid_BTC, place, self._view(slice(None), rows_BT, self.capacity))
        self._lengths_B += active_B
        return GridLogits(logits.text_BTV[:, 0], logits.audio_BTV[:, 0])


def _capacity(n_prompt: int, max_rows: int, config: LMConfig) -> int:
    """Rows that a reply may need; `ValueError` if the model has no positions for them."""
    need, limit = n_prompt + max_rows, config.max_position_embeddings
    if need > limit:
        raise ValueError(
            f"prompt and reply need {need} rows ({n_prompt} + {max_rows}), must be at most {limit}"
        )
    return min(limit, -(-need // _BLOCK_ROWS) * _BLOCK_ROWS)


def generate(
    model: LayerSplitLM,
    prompts: Sequence[Rows],
    sampling: Sampling,
    seeds: Sequence[int],
    max_rows: int,
) -> list[Generated]:
    """Reply to all prompts side by side; each prompt has its own seed."""
    if len(prompts) != len(seeds):
        raise ValueError(f"there are {len(seeds)} seeds, must be {len(prompts)} (one a prompt)")
    if not prompts:
        return []
    config = model.config
    capacity = _capacity(max(map(len, prompts)), max_rows, config)
    decoder = SlotDecoder(model, len(prompts), capacity)
    replies = []
    for slot, (prompt_TC, seed) in enumerate(zip(prompts, seeds, strict=True)):
        reply = Reply.start(prompt_TC, sampling, seed, max_rows, config)
        first = decoder.prefill(slot, prompt_TC)
        reply.add(first.text_BTV, first.audio_BTV)
        replies.append(reply)
    while not all(reply.done for reply in replies):
        active_B = torch.tensor([not reply.done for reply in replies])
        logits = decoder.step(torch.tensor([reply.last for reply in replies]), active_B)
        for slot, reply in enumerate(replies):
            if not reply.done:
                reply.add(logits.text_BTV[slot], logits.audio_BTV[slot])
    return [_finished(reply) for reply in replies]


def _finished(reply: Reply) -> Generated:
    rows_TC = np.array(reply.rows, np.int64)
    ids = reply.config.ids
    stopped = reply.rows[-1][0] in (ids.pad, ids.im_end)
    return Generated(rows_TC, reply_codes(rows_TC, reply.config), stopped)


class Session:
    """One reply as an iterator over its rows; closing it is forgetting it."""

    def __init__(
        self, model: LayerSplitLM, prompt_TC: Rows, sampling: Sampling, seed: int, max_rows: int
    ) -> None:
        capacity = _capacity(len(prompt_TC), max_rows, model.config)
        self._decoder = SlotDecoder(model, 1, capacity)
        self._prompt_TC = prompt_TC
        self._reply = Reply.start(prompt_TC, sampling, seed, max_rows, model.config)

    def __iter__(self) -> Iterator[NewRow]:
        """Yield rows as they are chosen, the closing row included."""
        first = self._decoder.prefill(0, self._prompt_TC)
        yield self._add(first.text_BTV, first.audio_BTV)
        while not self._reply.done:
            logits = self._decoder.step(torch.tensor([self._reply.last]), torch.tensor([True]))
            yield self._add(logits.text_BTV[0], logits.audio_BTV[0])

    def _add(self, text_V: Tensor, audio_V: Tensor) -> NewRow:
        text, audio = self._reply.add(text_V, audio_V)
        ids = self._reply.config.ids
        spoken = text == ids.modality_pad and audio != ids.eosp
        return NewRow(text, audio, spoken, self._reply.done)

    def finish(self) -> Generated:
        """Everything chosen so far."""
        return _finished(self._reply)
