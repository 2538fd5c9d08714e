"""Streams of a network that sees whole replies: each speaks when its codes have ended."""

from typing import TYPE_CHECKING

import numpy as np

from moss_speech.audio import Samples
from moss_speech.decoder.intake import Codes, Intake
from moss_speech.decoder.voice import Voice

if TYPE_CHECKING:
    from moss_speech.decoder.model import SpeechDecoder


class WholeStream(Intake):
    """One reply that is collected; belongs to a room."""

    def __init__(self, room: "WholeRoom", codebook_size: int) -> None:
        super().__init__(codebook_size)
        self._room = room
        self.codes: list[int] = []
        self.n_said = 0
        """Samples given out."""

    def push(self, codes: Codes) -> None:
        """Add codes; raises what `Intake.take` raises."""
        self.codes += self.take(codes)

    def leave(self) -> None:
        """Leave the room."""
        self._room.leave(self)


class WholeRoom:
    """`room.Room` for a network without chunks; one call speaks one whole reply."""

    def __init__(self, decoder: "SpeechDecoder", voice: Voice, slots: int) -> None:
        self._decoder, self._voice, self._slots = decoder, voice, slots
        self._streams: list[WholeStream] = []

    @property
    def free_slots(self) -> int:
        """How many streams may join now."""
        return self._slots - len(self._streams)

    @property
    def ready(self) -> list[WholeStream]:
        """Streams of which the next call can say something."""
        return [s for s in self._streams if s.ended and s.codes and not s.n_said]

    def join(self) -> WholeStream:
        """Begin a stream; `RuntimeError` if the room is full."""
        if not self.free_slots:
            raise RuntimeError(f"all {self._slots} slots of this room are taken")
        self._streams.append(WholeStream(self, self._decoder.flow.config.n_codes))
        return self._streams[-1]

    def leave(self, stream: WholeStream) -> None:
        """Give a stream's place free."""
        self._streams.remove(stream)

    def advance(self) -> dict[WholeStream, Samples]:
        """All of the speech of the first stream that is ready; empty if none is."""
        for stream in self.ready[:1]:
            audio_S = self._decoder.decode(stream.codes, self._voice)
            stream.n_said = int(np.size(audio_S))
            return {stream: audio_S}
        return {}
