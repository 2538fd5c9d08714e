"""Recordings of what is asked: the suite's own, or read aloud by a synthesiser and kept.

Shapes: S samples.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moss_speech.audio import SPEAKING, Samples, read_audio, write_audio
from moss_speech.evaluation.benchmarks.items import Said
from moss_speech.params.suite import Speaker
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.engines import open_synthesiser


@dataclass(frozen=True)
class Readers:
    """Voices that read questions; who reads an item depends on its id alone."""

    speakers: Sequence[Speaker]
    cache: Path

    def voice(self, said: Said, id: str) -> str:
        """Whose voice an item has."""
        if said.audio is not None:
            return said.voice
        speaker = self._speaker(id)
        return f"{speaker.synthesizer}:{speaker.voice}"

    def file(self, said: Said, id: str) -> Path:
        """The recording; made once for a voice and a text."""
        if said.audio is not None:
            return said.audio
        assert said.text is not None
        speaker = self._speaker(id)
        key = "\0".join((speaker.synthesizer, speaker.voice, said.text))
        path = self.cache / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.flac"
        if not path.is_file():
            # opened for each text: a synthesiser's noise depends on what it said before
            spoken_S = open_synthesiser(speaker.synthesizer, 0).say(
                said.text, speaker.voice, Manner()
            )
            self.cache.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".partial-{path.name}")
            write_audio(partial, spoken_S, SPEAKING.sample_rate_hz)
            partial.rename(path)
        return path

    def read(self, said: Said, id: str, sample_rate_hz: int) -> Samples:
        """The recording's samples; `ValueError` naming the file if it is damaged."""
        return read_audio(self.file(said, id), sample_rate_hz)

    def _speaker(self, id: str) -> Speaker:
        place = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8])
        return self.speakers[place % len(self.speakers)]
