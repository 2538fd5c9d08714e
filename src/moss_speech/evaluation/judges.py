"""Two recognisers of different families say what a spoken answer sounds like.

Whisper-base writes down freely what it hears; it counts if the answer's own words are there.
Pocketsphinx chooses among the closed list of answers; it counts if it chooses the right one.
Neither took part in training or cleaning. A figure is the mean of both verdicts.

Shapes: S samples.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np

from moss_speech.assets import ASSETS
from moss_speech.audio import LISTENING, Samples, resample
from moss_speech.speech.recognisers import SphinxFree, SphinxGrammar, Whisper

WHISPER: Final = "whisper-base"


@dataclass(frozen=True)
class Heard:
    """What each judge heard, as normalised words."""

    whisper: str
    sphinx: str


class Judges:
    """Both judges of answers from a closed list; audio goes in at any rate."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._whisper = Whisper(WHISPER)
        self._sphinx = SphinxGrammar(sorted(set(answers)))

    def hear(self, clips: Sequence[Samples], sample_rate_hz: int) -> list[Heard]:
        """What both judges hear in each clip; they work side by side on a thread each."""
        return _hear(self._whisper, self._sphinx, clips, sample_rate_hz)


class FreeJudges:
    """The same two families without a list: for word strings, where there is nothing to choose."""

    def __init__(self) -> None:
        self._whisper, self._sphinx = Whisper(WHISPER), SphinxFree()

    def hear(self, clips: Sequence[Samples], sample_rate_hz: int) -> list[Heard]:
        """What both judges hear in each clip."""
        return _hear(self._whisper, self._sphinx, clips, sample_rate_hz)


def _hear(
    whisper: Whisper,
    sphinx: SphinxGrammar | SphinxFree,
    clips: Sequence[Samples],
    sample_rate_hz: int,
) -> list[Heard]:
    at_16k = [_at_16k(clip_S, sample_rate_hz) for clip_S in clips]
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(judge.transcribe, at_16k) for judge in (whisper, sphinx)]
        return [Heard(w, s) for w, s in zip(*(job.result() for job in both), strict=True)]


def _at_16k(clip_S: Samples, sample_rate_hz: int) -> Samples:
    resampled_S = resample(clip_S, sample_rate_hz, LISTENING.sample_rate_hz)
    return resampled_S if resampled_S.size else np.zeros(LISTENING.hop_samples, dtype=np.float32)


def describe() -> dict[str, str]:
    """Which recognisers judged, with their versions; part of the report."""
    return {
        "whisper": f"{ASSETS[WHISPER].revision}, faster-whisper {version('faster-whisper')}, "
        f"ctranslate2 {version('ctranslate2')}, int8, beam 1",
        "sphinx": f"pocketsphinx {version('pocketsphinx')}, en-us, grammar of the answers",
    }
