"""Speech through codec and decoder and out again, without the language model: whole, streamed.

Shapes: S samples, N codes.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moss_speech.audio import Samples
from moss_speech.bundle import SpeechParts
from moss_speech.codec.model import Codes
from moss_speech.corpus.items import Utterance
from moss_speech.decoder.voice import Voice
from moss_speech.inference.resynthesis import streamed

KINDS = {"truth": "as recorded", "whole": "resynthesis", "stream": "streamed, code by code"}
"""What is heard of an utterance."""


@dataclass(frozen=True)
class Passage:
    """One utterance that went through codes into one voice."""

    group: str
    voice: str
    utterance: Utterance
    codes: Codes
    sounds: Mapping[str, Samples]
    """Every kind at the decoder's rate."""

    def file(self, kind: str) -> str:
        """Where a sound lies in the report's folder."""
        what = "true" if kind == "truth" else f"{self.voice}-{kind}"
        return f"audio/{what}-{self.utterance.id}.flac"


@dataclass
class Stopwatch:
    """Seconds of work, by what was done, for so many seconds of sound."""

    sound_s: float = 0.0
    work_s: dict[str, float] = field(
        default_factory=lambda: {"encode": 0.0, "decode": 0.0, "stream": 0.0}
    )

    def add(self, work: str, started: float) -> None:
        """Count the time since `started`."""
        self.work_s[work] += time.perf_counter() - started

    def real_time_factors(self) -> dict[str, float]:
        """Seconds of work for a second of sound."""
        return {w: round(s / max(self.sound_s, 1e-9), 4) for w, s in self.work_s.items()}


def pass_through(
    parts: SpeechParts, groups: Mapping[str, Sequence[Utterance]], clock: Stopwatch
) -> list[Passage]:
    """Every utterance of each group in each voice of the model; `clock` counts the work."""
    return [
        _passage(parts, group, voice, utterance, clock)
        for voice in parts.voices.values()
        for group, utterances in groups.items()
        for utterance in utterances
    ]


def _passage(
    parts: SpeechParts, group: str, voice: Voice, utterance: Utterance, clock: Stopwatch
) -> Passage:
    heard_hz = parts.codec.config.audio_format.sample_rate_hz
    said_S = utterance.read(parts.decoder.format.sample_rate_hz)
    heard_S = utterance.read(heard_hz)
    clock.sound_s += heard_S.size / heard_hz
    started = time.perf_counter()
    codes_N = parts.codec.encode([heard_S])[0]
    clock.add("encode", started)
    started = time.perf_counter()
    whole_S = parts.decoder.decode(codes_N, voice)
    clock.add("decode", started)
    started = time.perf_counter()
    stream_S = streamed(parts, codes_N, voice)
    clock.add("stream", started)
    sounds = {"truth": said_S, "whole": whole_S, "stream": stream_S}
    return Passage(group, voice.name, utterance, codes_N, sounds)
