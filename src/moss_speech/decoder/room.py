"""Streams of one voice side by side: codes in as they come, speech out chunk by chunk.

A chunk is spoken when its codes and the look-ahead are there; one call of `advance` computes the
next chunk of every stream that is ready. What a stream says does not depend on its neighbours.
Shapes: S slots · N codes · T frames · M mel bands.
"""

import numpy as np
import torch
from torch import Tensor

from moss_speech.audio import Samples
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.flow.stream import FlowStream, VoiceState
from moss_speech.decoder.intake import Codes, Intake
from moss_speech.decoder.mel import LOG_FLOOR
from moss_speech.decoder.vocoder.base import Vocoder, keep


class Stream(Intake):
    """One reply being spoken; belongs to a room."""

    def __init__(self, room: "Room", slot: int, lead: list[int]) -> None:
        super().__init__(room.n_codes)
        self._room, self.slot = room, slot
        self.waiting = lead
        """Codes of the voice and of the reply that no chunk has taken."""
        self.n_chunks = 0
        """Chunks computed; the first ones begin with the voice's codes that are not pinned."""
        self.n_said = 0
        """Samples given out."""

    def push(self, codes: Codes) -> None:
        """Add codes; raises what `Intake.take` raises."""
        self.waiting += self.take(codes)

    def leave(self) -> None:
        """Give the slot free, whatever is left."""
        self._room.leave(self)


class Room:
    """A fixed number of slots; the same stream in the same number of slots has the same bits."""

    def __init__(
        self, flow: FlowNetwork, vocoder: Vocoder, voice: VoiceState, slots: int = 1
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots is {slots}, must be at least 1")
        self._flow, self._vocoder, self._voice = flow, vocoder, voice
        self._stream = FlowStream(flow, voice, slots)
        with torch.inference_mode():
            self._state = vocoder.start(slots)
        self._seats: list[Stream | None] = [None] * slots

    @property
    def free_slots(self) -> int:
        """How many streams may join now."""
        return self._seats.count(None)

    @property
    def ready(self) -> list[Stream]:
        """Streams of which the next call can say something."""
        return [s for s in self._seats if s is not None and self._is_ready(s)]

    @property
    def n_codes(self) -> int:
        """Codes that the network understands."""
        return self._flow.config.n_codes

    @torch.inference_mode()
    def join(self) -> Stream:
        """Begin a stream in a free slot; `RuntimeError` if there is none."""
        if not self.free_slots:
            raise RuntimeError(f"all {len(self._seats)} slots of this room are taken")
        slot = self._seats.index(None)
        self._stream.join(slot)
        fresh = self._vocoder.start(1)
        for name, value in self._state.items():
            value[slot] = fresh[name][0]
        lead = self._voice.prompt.codes_N[self._voice.view.pinned :].tolist()
        stream = self._seats[slot] = Stream(self, slot, lead)
        return stream

    def leave(self, stream: Stream) -> None:
        """Give a stream's slot free."""
        assert self._seats[stream.slot] is stream
        self._seats[stream.slot] = None

    def advance(self) -> dict[Stream, Samples]:
        """Speech of the next chunk of every stream that is ready; empty if none is."""
        ready = self.ready
        return self._speak(ready) if ready else {}

    def _is_ready(self, s: Stream) -> bool:
        c = self._flow.config
        if not s.ended:
            return len(s.waiting) >= c.chunk_codes + c.lookahead_codes
        return s.n_said < s.n_codes * c.format.samples_per_code

    @torch.inference_mode()
    def _speak(self, ready: list[Stream]) -> dict[Stream, Samples]:
        c, n_slots = self._flow.config, len(self._seats)
        wanted = c.chunk_codes + c.lookahead_codes
        codes_SN = torch.zeros(n_slots, wanted, dtype=torch.int64)
        known_S = torch.zeros(n_slots, dtype=torch.int64)
        for s in ready:
            part = s.waiting[:wanted]
            codes_SN[s.slot, : len(part)] = torch.tensor(part, dtype=torch.int64)
            known_S[s.slot] = len(part)
        mel_STM = self._flow_step(ready, codes_SN, known_S)
        active_S = torch.zeros(n_slots, dtype=torch.bool, device=mel_STM.device)
        active_S[[s.slot for s in ready]] = True
        audio_SN, state = self._vocoder.step(mel_STM.mT, self._state)
        self._state = keep(active_S, state, self._state)
        spoken = audio_SN.clamp(-1, 1).cpu().numpy()
        return {s: self._cut(s, np.asarray(spoken[s.slot], np.float32)) for s in ready}

    def _flow_step(self, ready: list[Stream], codes_SN: Tensor, known_S: Tensor) -> Tensor:
        """Mel [S, T, M] of the next chunk; silence where nothing of the reply is said."""
        c, device = self._flow.config, self._flow.device
        per_code, n_slots = c.format.frames_per_code, len(self._seats)
        prompt_STM = torch.zeros(n_slots, c.chunk_codes * per_code, c.format.n_mels, device=device)
        silent_SN = torch.ones(n_slots, c.chunk_codes, dtype=torch.bool)
        for s in ready:
            begin = self._voice.view.pinned * per_code + s.n_chunks * len(prompt_STM[0])
            part_TM = self._voice.prompt.mel_TM[begin : begin + len(prompt_STM[0])]
            prompt_STM[s.slot, : len(part_TM)] = part_TM
            silent_SN[s.slot, len(part_TM) // per_code : int(known_S[s.slot])] = False
            s.waiting = s.waiting[c.chunk_codes :]
        if not known_S.any():
            return torch.full_like(prompt_STM, LOG_FLOOR)
        mel_STM = self._stream.step(codes_SN.to(device), known_S.to(device), prompt_STM)
        silent_ST1 = silent_SN.repeat_interleave(per_code, 1)[..., None].to(device)
        return mel_STM.masked_fill(silent_ST1, LOG_FLOOR)

    def _cut(self, s: Stream, audio_S: Samples) -> Samples:
        """What of a chunk's samples belongs to the reply."""
        per_code, chunk = self._flow.config.format.samples_per_code, len(audio_S)
        n_before = self._flow.leading_codes(len(self._voice.prompt.codes_N))
        at = s.n_chunks * chunk - self._vocoder.latency_samples - n_before * per_code
        s.n_chunks += 1
        end = s.n_codes * per_code if s.ended else at + chunk
        said_S = audio_S[max(0, -at) : max(0, end - at)]
        s.n_said += len(said_S)
        return said_S
