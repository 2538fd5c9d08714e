"""What is measured of a recorded turn: how it was asked, and how the answer sounds.

Shapes: S samples at 16 kHz.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from moss_speech.audio import LISTENING, Samples
from moss_speech.monitoring.traffic import TurnFiles, read_sound
from moss_speech.speech.loudness import loudness_lufs
from moss_speech.speech.quality import opinion
from moss_speech.speech.recognisers import Whisper
from moss_speech.speech.vad import speech_spans

Value = float | str
"""A number, or the name of a category; the values of a figure are all of one kind."""
LANGUAGE = "heard_language"
NUMBERS = (
    *("heard_s", "heard_lufs", "heard_background", "said_s", "said_lufs", "said_quality"),
    "said_silence",
)
FIGURES = (*NUMBERS, LANGUAGE)
"""All that is compared, whichever a window has."""
UNSURE = "unsure"
MIN_SURE = 0.5
"""Below this share of belief the language of a clip is `unsure`."""


@dataclass
class Measured:
    """Values by figure and version; figures of questions have the version "" for all."""

    values: defaultdict[tuple[str, str], list[Value]] = field(
        default_factory=lambda: defaultdict(list)
    )
    set_aside: Counter[str] = field(default_factory=Counter)


def measure(turns: Iterable[TurnFiles]) -> Measured:
    """Measure turns; sound that cannot be read is set aside with its reason."""
    measured = Measured()
    for turn in turns:
        try:
            heard_S = None if turn.heard is None else read_sound(turn.heard)
            said_S = None if turn.said is None else read_sound(turn.said)
        except ValueError as error:
            measured.set_aside[str(error)] += 1
            continue
        if heard_S is not None:
            for name, value in of_question(heard_S).items():
                measured.values[name, ""].append(value)
        if said_S is not None:
            for name, number in of_answer(said_S).items():
                measured.values[name, turn.version].append(number)
    return measured


def of_question(samples_S: Samples) -> dict[str, Value]:
    """Length, loudness, clearness from noise (DNSMOS, 1..5) and language of what was asked."""
    return {
        "heard_s": samples_S.size / LISTENING.sample_rate_hz,
        "heard_lufs": loudness_lufs(samples_S, LISTENING.sample_rate_hz),
        "heard_background": opinion(samples_S).background,
        LANGUAGE: _language(samples_S),
    }


def of_answer(samples_S: Samples) -> dict[str, float]:
    """Length, loudness, quality (DNSMOS, 1..5) and share without speech of what was answered."""
    whole_s = samples_S.size / LISTENING.sample_rate_hz
    spoken_s = sum(span.end_s - span.start_s for span in speech_spans(samples_S))
    return {
        "said_s": whole_s,
        "said_lufs": loudness_lufs(samples_S, LISTENING.sample_rate_hz),
        "said_quality": opinion(samples_S).overall,
        "said_silence": float(np.clip(1 - spoken_s / whole_s, 0, 1)),
    }


@cache
def listener() -> Whisper:
    """The recogniser that tells languages, and canary answers; loaded once."""
    return Whisper("whisper-base")


def _language(samples_S: Samples) -> str:
    (shares,) = listener().languages([samples_S])
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= MIN_SURE else UNSURE
