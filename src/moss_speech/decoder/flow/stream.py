"""The flow network chunk by chunk, for several streams of one voice side by side.

Shapes: S slots · N codes of one chunk · L codes of look-ahead · T frames of one chunk · M mel
bands · K speaker width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from moss_speech.decoder.flow.memory import Chunk, Look, Recorded, Remembered
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.flow.past import Pasts
from moss_speech.decoder.flow.view import View

CACHE_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class VoicePrompt:
    """A voice as the network takes it."""

    codes_N: Tensor
    mel_TM: Tensor
    speaker_K: Tensor


@dataclass(frozen=True)
class VoiceState:
    """What all streams of a voice share: the network's past after the voice's whole chunks."""

    prompt: VoicePrompt
    view: View
    codes: Recorded | None
    """None where the voice is too short to fill a chunk with its look-ahead."""
    frames: Recorded | None
    steps: tuple[Recorded | None, ...]

    @classmethod
    @torch.inference_mode()
    def of(cls, flow: FlowNetwork, prompt: VoicePrompt) -> "VoiceState":
        """Compute a voice once; `ValueError` for a network that sees all at once."""
        config, per_code = flow.config, flow.config.format.frames_per_code
        config.require_chunks()
        view = flow.view(len(prompt.codes_N))
        n, n_frames = view.pinned, view.pinned * per_code
        if n == 0:
            return cls(prompt, view, None, None, (None,) * config.steps)
        at_frames, cache = view.at_rate(per_code), CACHE_TYPES[config.cache]
        codes = Recorded(view, n, flow.device, cache)
        frames, *steps = (
            Recorded(at_frames, n_frames, flow.device, cache) for _ in range(1 + config.steps)
        )
        known = flow.with_lookahead(
            prompt.codes_N[None, :n], prompt.codes_N[None, n : n + config.lookahead_codes]
        )
        flow.mel(
            *known,
            prompt.mel_TM[None, :n_frames],
            prompt.speaker_K[None],
            [0],
            Pasts(codes, frames, steps),
        )
        return cls(prompt, view, codes, frames, tuple(steps))

    def memory_bytes(self) -> int:
        """Bytes that all streams of the voice share."""
        parts = (self.codes, self.frames, *self.steps)
        return sum(part.memory_bytes() for part in parts if part is not None)


class FlowStream:
    """The slots of one voice."""

    def __init__(self, flow: FlowNetwork, voice: VoiceState, slots: int) -> None:
        self._flow, self._voice, self._slots = flow, voice, slots
        self._per_code = flow.config.format.frames_per_code
        cache, at_frames = CACHE_TYPES[flow.config.cache], voice.view.at_rate(self._per_code)
        self._codes = Remembered(voice.view, voice.codes, 1, cache)
        self._frames = Remembered(at_frames, voice.frames, 1, cache)
        self._steps = [Remembered(at_frames, step, 2, cache) for step in voice.steps]
        self._age_S = torch.zeros(slots, dtype=torch.int64, device=flow.device)

    @torch.inference_mode()
    def join(self, slot: int) -> None:
        """Begin a new stream in a slot."""
        self._age_S[slot] = 0
        for part in (self._codes, self._frames, *self._steps):
            part.join(slot)

    @torch.inference_mode()
    def step(self, codes_SN: Tensor, known_S: Tensor, prompt_STM: Tensor) -> Tensor:
        """Mel [S, T, M] of the next chunk of every slot whose `known_S` is above 0.

        `codes_SN` holds a chunk and its look-ahead, `known_S` says how many of them there are
        (fewer at the end), `prompt_STM` the voice's mel where the chunk still belongs to it.
        """
        c = self._flow.config
        active_S = known_S > 0
        in_chunk_S = torch.where(active_S, known_S, c.chunk_codes).clamp(max=c.chunk_codes)
        chunk = Chunk(self._age_S, active_S, in_chunk_S)
        self._codes.begin(Look(self._voice.view, chunk, 1))
        look = Look(self._voice.view.at_rate(self._per_code), chunk, self._per_code)
        for part in (self._frames, *self._steps):
            part.begin(look)
        place_N = torch.arange(codes_SN.shape[1], device=codes_SN.device)
        mel_STM = self._flow.mel(
            codes_SN,
            place_N < known_S[:, None],
            prompt_STM,
            self._voice.prompt.speaker_K.expand(self._slots, -1),
            self._starts(),
            Pasts(self._codes, self._frames, self._steps),
        )
        self._age_S = self._age_S + active_S
        return mel_STM

    def _starts(self) -> list[int]:
        """The frame of voice and reply at which each slot's chunk begins."""
        n_before_S = self._voice.view.pinned + self._age_S * self._flow.config.chunk_codes
        starts: list[int] = (n_before_S * self._per_code).tolist()
        return starts

    def memory_bytes(self) -> int:
        """Bytes that the slots keep of their own."""
        return sum(p.memory_bytes() for p in (self._codes, self._frames, *self._steps))
