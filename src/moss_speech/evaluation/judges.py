"""Two recognisers of different families say what a spoken answer sounds like.

Whisper-base writes down freely what it hears; it counts if the answer's own words are there.
Pocketsphinx chooses among the closed list of answers; it counts if it chooses the right one.
Neither took part in training or cleaning. A figure is the mean of both verdicts. Word strings
that were to be said again are judged alike: Sphinx chooses among all strings of the run.

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
from moss_speech.speech.recognisers import SphinxGrammar, Whisper

WHISPER: Final = "whisper-base"


@dataclass(frozen=True)
class Heard:
    """What each judge heard, as normalised words."""

    whisper: str
    sphinx: str


class Judges:
    """Both judges of what comes from a closed list; `ValueError` for a word Sphinx lacks."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._judges = (Whisper(WHISPER), SphinxGrammar(sorted(set(phrases))))

    def hear(self, clips: Sequence[Samples], sample_rate_hz: int) -> list[Heard]:
        """What both judges hear in each clip; they work side by side on a thread each."""
        at_16k = [_at_16k(clip_S, sample_rate_hz) for clip_S in clips]
        with ThreadPoolExecutor(len(self._judges)) as pool:
            both = [pool.submit(judge.transcribe, at_16k) for judge in self._judges]
            return [Heard(w, s) for w, s in zip(*(job.result() for job in both), strict=True)]


def _at_16k(clip_S: Samples, sample_rate_hz: int) -> Samples:
    """The clip as recognisers want it; an empty one becomes 10 ms of silence."""
    if clip_S.size == 0:
        return np.zeros(LISTENING.hop_samples, dtype=np.float32)
    return resample(clip_S, sample_rate_hz, LISTENING.sample_rate_hz)


def describe() -> dict[str, str]:
    """Which recognisers judged, with their versions; part of the report."""
    return {
        "whisper": f"{ASSETS[WHISPER].revision}, faster-whisper {version('faster-whisper')}, "
        f"ctranslate2 {version('ctranslate2')}, int8, beam 1",
        "sphinx": f"pocketsphinx {version('pocketsphinx')}, en-us, grammar of the answers",
    }
