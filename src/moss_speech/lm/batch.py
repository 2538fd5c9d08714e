"""Continuous batching: requests join, advance by a row together, and leave at any row.

Shapes: T rows, C channels (0 text, 1 speech).
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from moss_speech.lm.config import LMConfig
from moss_speech.lm.grid import Rows, reply_codes
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.sampling import Reply, Sampling
from moss_speech.lm.slots import EAGER, Decoding, SlotDecoder


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


@dataclass(eq=False)
class Seat:
    """A slot that belongs to one conversation; its caches outlast the replies."""

    slot: int


@dataclass(eq=False)
class Request:
    """One reply under way: its prompt, how much of it was read, and its rows so far."""

    seat: Seat
    prompt_TC: Rows
    reply: Reply
    held: bool
    """True if the seat is kept when the request leaves."""
    read: int

    @property
    def is_read(self) -> bool:
        """Whether the whole prompt went through the trunk."""
        return self.read == len(self.prompt_TC)

    def finish(self) -> Generated:
        """Everything chosen so far."""
        rows_TC = np.array(self.reply.rows, np.int64).reshape(-1, 2)
        ids = self.reply.config.ids
        stopped = bool(len(rows_TC)) and rows_TC[-1, 0] in (ids.pad, ids.im_end)
        return Generated(rows_TC, reply_codes(rows_TC, self.reply.config), stopped)


def check_request(prompt_TC: Rows, max_rows: int, config: LMConfig) -> int:
    """Rows that prompt and reply need; `ValueError` for ids or lengths outside the model's."""
    sizes = (config.vocab_size, config.audio_vocab_size)
    for name, ids_T, size in zip(("text", "speech"), prompt_TC.T, sizes, strict=True):
        outside = ids_T[(ids_T < 0) | (ids_T >= size)]
        if outside.size:
            raise ValueError(f"the prompt has the {name} id {outside[0]}, must be 0..{size - 1}")
    need, limit = len(prompt_TC) + max_rows, config.max_position_embeddings
    if need > limit:
        raise ValueError(
            f"prompt and reply need {need} rows ({len(prompt_TC)} + {max_rows}), "
            f"must be at most {limit}"
        )
    return need


class Batch:
    """Requests that share one model, each in a slot of its own."""

    def __init__(
        self, model: LayerSplitLM, n_slots: int, capacity: int, how: Decoding = EAGER
    ) -> None:
        self._decoder = SlotDecoder(model, n_slots, capacity, how)
        self._how = how
        self._free = list(range(n_slots))
        self._requests: list[Request] = []

    @property
    def free_slots(self) -> int:
        """How many seats may be taken now."""
        return len(self._free)

    @property
    def capacity(self) -> int:
        """Rows that prompt and reply of one request may have."""
        return self._decoder.capacity

    @property
    def slot_bytes(self) -> int:
        """Memory set aside for one conversation."""
        return self._decoder.slot_bytes

    @property
    def busy(self) -> bool:
        """Whether any request is under way."""
        return bool(self._requests)

    def take(self) -> Seat:
        """A seat for a conversation of several replies; `ValueError` if all are taken."""
        if not self._free:
            raise ValueError(f"{self._decoder.n_slots} requests are under way, no slot is free")
        return Seat(self._free.pop(0))

    def give(self, seat: Seat) -> None:
        """Free a seat; what it was used for must have ended."""
        assert all(request.seat is not seat for request in self._requests)
        self._free.append(seat.slot)

    def prepare(self, seat: Seat, rows_TC: Rows) -> bool:
        """Read one more chunk of rows that a prompt will begin with; whether all are read."""
        assert all(request.seat is not seat for request in self._requests)
        kept = self._decoder.keep(seat.slot, rows_TC)
        end = kept + self._how.chunk_rows
        if kept < len(rows_TC):
            self._decoder.extend(seat.slot, rows_TC[kept:end])
        return end >= len(rows_TC)

    def join(
        self,
        prompt_TC: Rows,
        sampling: Sampling,
        seed: int,
        max_rows: int,
        seat: Seat | None = None,
    ) -> Request:
        """Begin a reply in a seat that is held, or in one that is taken until the reply ends.

        The steps that follow read the prompt, except for what the seat has of it already.
        """
        config = self._decoder.model.config
        if (need := check_request(prompt_TC, max_rows, config)) > self.capacity:
            raise ValueError(f"prompt and reply need {need} rows, must be at most {self.capacity}")
        reply = Reply.start(prompt_TC, sampling, seed, max_rows, config, self._how.defer)
        place = self.take() if seat is None else seat
        # the last row is read again: its logits are asked for
        read = self._decoder.keep(place.slot, prompt_TC[: -1 if seat else 0])
        request = Request(place, prompt_TC, reply, seat is not None, read)
        self._requests.append(request)
        return request

    def cancel(self, request: Request) -> None:
        """Drop a request; its slot is free at once. One that has left already is ignored."""
        if request in self._requests:
            self._requests.remove(request)
            if not request.held:
                self.give(request.seat)

    def step(
        self, n_chunks: int = 1, paused: Collection[Request] = ()
    ) -> list[tuple[Request, NewRow]]:
        """Advance every request whose prompt is read by one row; requests that end leave.

        Before that at most `n_chunks` chunks of prompts are read, so that a long prompt does not
        hold up those who speak. Those in `paused` stay where they are.
        """
        awake = [request for request in self._requests if request not in paused]
        going = [request for request in awake if request.is_read]
        reading = [request for request in awake if not request.is_read]
        new = [pair for request in reading[:n_chunks] for pair in self._read(request)]
        if going:
            rows = {request.seat.slot: request.reply.last for request in going}
            wanted = {request.seat.slot: request.reply.wanted for request in going}
            found = self._decoder.step(rows, wanted)
            new += [(r, self._add(r, r.reply.add(found[r.seat.slot]))) for r in going]
        return new

    def _read(self, request: Request) -> list[tuple[Request, NewRow]]:
        """One more chunk of a prompt, and the first row after the last one."""
        slot, end = request.seat.slot, request.read + self._how.chunk_rows
        self._decoder.extend(slot, request.prompt_TC[request.read : end])
        request.read = min(end, len(request.prompt_TC))
        if not request.is_read:
            return []
        wanted = request.reply.wanted.items()
        found = {channel: self._decoder.logits(slot, channel, n) for channel, n in wanted}
        return [(request, self._add(request, request.reply.add(found)))]

    def _add(self, request: Request, row: tuple[int, int]) -> NewRow:
        text, audio = row
        ids = request.reply.config.ids
        spoken = text == ids.modality_pad and audio != ids.eosp
        if request.reply.done:
            self.cancel(request)
        return NewRow(text, audio, spoken, request.reply.done)
