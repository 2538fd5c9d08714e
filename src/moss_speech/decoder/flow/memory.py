"""What streams keep of their past, so that a chunk costs the same however much was said.

Several streams of one voice run side by side in slots; each slot has its own age. Attention keeps
keys and values of the context in places of one chunk, the oldest place taken by the newest chunk;
those of the voice are kept once for all slots.
Shapes: S slots · R repeats (2 with guidance) · B batch R * S, repeats first · H heads · K head
width · C steps of one chunk · V steps of the voice · W steps of the ring · P distances.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moss_speech.decoder.flow.past import Whole, relative_positions
from moss_speech.decoder.flow.view import View


class Recorded(Whole):
    """A whole past that keeps what a stream after it needs; later steps cannot change it."""

    def __init__(self, view: View, n_steps: int, device: torch.device, cache: torch.dtype) -> None:
        super().__init__(view, n_steps, device)
        self._cache = cache
        self.before: list[Tensor] = []
        """Last inputs of each convolution [R, C, n]."""
        self.keys: list[tuple[Tensor, Tensor]] = []
        """Keys and values of each attention [R, H, V, K]."""

    def extend(self, x_BCT: Tensor, n_before: int) -> Tensor:
        """The input after zeros; its end is kept."""
        padded_BCT = super().extend(x_BCT, n_before)
        self.before.append(padded_BCT[..., -n_before:].clone())
        return padded_BCT

    def attend(
        self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, by_distance_BHTP: Tensor | None
    ) -> Tensor:
        """Attention; keys and values are kept."""
        kept_k, kept_v = (x.to(self._cache).contiguous() for x in (k_BHTK, v_BHTK))
        self.keys.append((kept_k, kept_v))
        return super().attend(q_BHTK, k_BHTK, v_BHTK, by_distance_BHTP)

    def memory_bytes(self) -> int:
        """Bytes of what is kept."""
        return _bytes(self.before, self.keys)


@dataclass(frozen=True)
class Chunk:
    """Where each slot is in one call."""

    age_S: Tensor
    """Chunks that the slot has behind it, the voice's not counted."""
    active_S: Tensor
    known_S: Tensor
    """Codes of this chunk that are not past the end."""


class Look:
    """What the steps of one chunk see at one rate: places of the ring, mask, distances."""

    def __init__(self, view: View, chunk: Chunk, rate: int) -> None:
        n_places, age_S1 = places(view), chunk.age_S[:, None]
        place_W = torch.arange(n_places, device=age_S1.device).repeat_interleave(view.chunk)
        step_W = torch.arange(len(place_W), device=age_S1.device) % view.chunk
        ago_SW = (age_S1 - place_W) % n_places
        known_SW = (ago_SW > 0) | (step_W < chunk.known_S[:, None] * rate)
        hidden_SW = (ago_SW > age_S1) | ~known_SW
        hidden_SK = torch.cat([hidden_SW.new_zeros(len(age_S1), view.pinned), hidden_SW], 1)
        bias_SK = torch.zeros(hidden_SK.shape, device=age_S1.device)
        self.bias_S11K = bias_SK.masked_fill(hidden_SK, -math.inf)[:, None, None]
        self.row_SCK = _rows(view, age_S1, ago_SW, step_W)
        self.place_S = chunk.age_S % n_places
        self.active_S = chunk.active_S


def places(view: View) -> int:
    """Chunks that a ring holds: the context and the newest."""
    assert view.chunk and view.context is not None
    return view.context // view.chunk + 1


def farthest(view: View) -> int:
    """The longest distance that a step can have to what it sees."""
    assert view.context is not None
    return view.pinned + view.context + view.chunk - 1


def _rows(view: View, age_S1: Tensor, ago_SW: Tensor, step_W: Tensor) -> Tensor:
    """Row of each distance in the table of positions [S, C, V + W]."""
    voice_V = torch.arange(view.pinned, device=age_S1.device)
    before_S1 = (age_S1 * view.chunk).clamp(max=view.context)
    key_SK = torch.cat([voice_V - view.pinned - before_S1, step_W - ago_SW * view.chunk], 1)
    step_C1 = torch.arange(view.chunk, device=age_S1.device)[:, None]
    return farthest(view) - step_C1 + key_SK[:, None]


class Remembered:
    """The past of streams side by side at one rate and, in the estimator, one Euler step."""

    def __init__(
        self, view: View, voice: Recorded | None, repeats: int, cache: torch.dtype
    ) -> None:
        self._view, self._voice, self._repeats, self._cache = view, voice, repeats, cache
        self._before: list[Tensor] = []
        self._rings: list[tuple[Tensor, Tensor]] = []
        self._positions: list[Tensor] = []

    def begin(self, look: Look) -> None:
        """Prepare one call of all layers."""
        self._n_convolutions = self._n_attentions = self._n_positions = 0
        self._place_S = look.place_S
        self._active_B11 = look.active_S.repeat(self._repeats)[:, None, None]
        self._bias_B11K = look.bias_S11K.repeat(self._repeats, 1, 1, 1)
        self._row_BCK = look.row_SCK.repeat(self._repeats, 1, 1)

    def extend(self, x_BCT: Tensor, n_before: int) -> Tensor:
        """The input after the end of the chunk before; active slots keep its own end."""
        i, self._n_convolutions = self._n_convolutions, self._n_convolutions + 1
        if i == len(self._before):
            self._before.append(self._start(i, x_BCT, n_before))
        extended_BCT = torch.cat([self._before[i], x_BCT], -1)
        end_BCN = extended_BCT[..., -n_before:]
        self._before[i] = torch.where(self._active_B11, end_BCN, self._before[i])
        return extended_BCT

    def _start(self, i: int, x_BCT: Tensor, n_before: int) -> Tensor:
        if self._voice is None:
            return x_BCT.new_zeros(*x_BCT.shape[:2], n_before)
        slots = len(x_BCT) // self._repeats
        return self._voice.before[i].repeat_interleave(slots, 0)

    def join(self, slot: int) -> None:
        """Begin a new stream in a slot; its keys count from the first chunk on by age alone."""
        for i, before_BCN in enumerate(self._before):
            rows_RCN = self._by_slot(before_BCN)[:, slot]
            rows_RCN.copy_(self._voice.before[i] if self._voice else torch.zeros_like(rows_RCN))

    def attend(
        self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, by_distance_BHTP: Tensor | None
    ) -> Tensor:
        """Attention to the voice, the context and the chunk itself."""
        i, self._n_attentions = self._n_attentions, self._n_attentions + 1
        if i == len(self._rings):
            self._rings.append((self._ring(k_BHTK), self._ring(v_BHTK)))
        keys_BHWK = self._take(self._rings[i][0], k_BHTK)
        values_BHWK = self._take(self._rings[i][1], v_BHTK)
        voice = self._voice.keys[i] if self._voice else None
        scale = 1 / math.sqrt(q_BHTK.shape[-1])
        q_BHTK = q_BHTK * scale
        scores_BHTK = q_BHTK @ keys_BHWK.mT
        if voice is not None:
            scores_BHTK = torch.cat([self._shared(q_BHTK, voice[0].mT), scores_BHTK], -1)
        if by_distance_BHTP is not None:
            row = self._row_BCK[:, None].expand(-1, q_BHTK.shape[1], -1, -1)
            scores_BHTK = scores_BHTK + by_distance_BHTP.gather(-1, row) * scale
        weights_BHTK = (scores_BHTK + self._bias_B11K).softmax(-1)
        far_BHTV, near_BHTW = weights_BHTK.tensor_split([self._view.pinned], -1)
        mixed_BHTK = near_BHTW @ values_BHWK
        return mixed_BHTK if voice is None else mixed_BHTK + self._shared(far_BHTV, voice[1])

    def _by_slot(self, x: Tensor) -> Tensor:
        """The first axis of a batch as repeats and slots."""
        return x.view(self._repeats, -1, *x.shape[1:])

    def _ring(self, new_BHTK: Tensor) -> Tensor:
        """Room for the keys or values of all places [B, H, places, C, K]."""
        n, heads, _, width = new_BHTK.shape
        shape = (n, heads, places(self._view), self._view.chunk, width)
        return new_BHTK.new_zeros(shape, dtype=self._cache)

    def _take(self, ring: Tensor, new_BHTK: Tensor) -> Tensor:
        """Put new keys or values into each slot's place; all of the ring [B, H, W, K]."""
        slot_S = torch.arange(len(self._place_S), device=ring.device)
        new_SRHCK = self._by_slot(new_BHTK.to(ring.dtype)).transpose(0, 1)
        self._by_slot(ring)[:, slot_S, :, self._place_S] = new_SRHCK
        return ring.flatten(2, 3).to(new_BHTK.dtype)

    def _shared(self, x_BHTI: Tensor, voice_RHIJ: Tensor) -> Tensor:
        """Product with what the voice holds once for all slots, [B, H, T, J]."""
        x_RHSTI = self._by_slot(x_BHTI).transpose(1, 2)
        out_RHNJ = x_RHSTI.flatten(2, 3) @ voice_RHIJ.to(x_BHTI.dtype)
        out_RHSTJ = out_RHNJ.view(*x_RHSTI.shape[:4], -1)
        return out_RHSTJ.transpose(1, 2).flatten(0, 1)

    def positions(self, project: nn.Linear) -> Tensor:
        """Projected sinusoids of all distances that can occur, computed once."""
        i, self._n_positions = self._n_positions, self._n_positions + 1
        if i == len(self._positions):
            far, near = farthest(self._view), 1 - self._view.chunk
            table_PD = relative_positions(far, near, project.in_features)
            self._positions.append(project(table_PD.to(project.weight)))
        return self._positions[i]

    def memory_bytes(self) -> int:
        """Bytes of what the slots keep of their own; the voice's and tables are shared."""
        return _bytes(self._before, self._rings)


def _bytes(before: list[Tensor], keys: list[tuple[Tensor, Tensor]]) -> int:
    kept = [*before, *(one for pair in keys for one in pair)]
    return sum(t.numel() * t.element_size() for t in kept)
