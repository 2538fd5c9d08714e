"""Recordings as the service writes them, of spoken questions and answers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np

from moss_speech.audio import SPEAKING, Samples
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import EspeakNG
from services.access import Caller, CallerLimits
from services.recording import RecordedTurn, Sound, write_turn
from services.served import ModelInfo

CALLER = Caller("key_1", "phone", frozenset({"chat"}), CallerLimits(1, 1, 1))
RATE_HZ = SPEAKING.sample_rate_hz
ENGLISH = (
    "what color is the grass in your garden this morning",
    "please tell me which animal guards the house at night",
    "do you know the opposite of hot and the opposite of fast",
    "what number comes after three when you count slowly",
)
GERMAN = (
    "welche farbe hat das gras heute morgen in deinem garten",
    "bitte sag mir welches tier in der nacht das haus bewacht",
    "kannst du mir das gegenteil von heiß und von schnell sagen",
    "welche zahl kommt nach drei wenn man langsam zählt",
)
ANSWERS = ("the color is green", "that is a dog", "the opposite is cold", "the next is four")
VOICES = ("en-us+f2", "en-us+m3", "en-gb+f4", "en-us+m7", "en-us")


@dataclass(frozen=True)
class How:
    """What turns of a window are like."""

    texts: tuple[str, ...] = ENGLISH
    voices: tuple[str, ...] = VOICES
    gain_db: float = 0.0
    silence_s: float = 0.0
    """Silence after what is answered."""
    version: str = "3"


@cache
def say(text: str, voice: str) -> Samples:
    return EspeakNG().say(text, voice, Manner())


def record(folder: Path, n: int, at: datetime, how: How, seed: int) -> None:
    """Write `n` turns that end after one another from `at` on, each of a session of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for i in range(n):
        text, voice = (str(random.choice(those)) for those in (how.texts, how.voices))
        gain = 10 ** ((how.gain_db + random.normal(0, 2)) / 20)
        answer_S = say(str(random.choice(ANSWERS)), "en-us+f3")
        silence_S = np.zeros(int(how.silence_s * RATE_HZ), np.float32)
        turn = RecordedTurn(
            {"session": f"sess_{seed}_{i}"},
            CALLER,
            ModelInfo("moss-speech", how.version, "d" * 64),
            "stop",
            Sound(np.asarray(gain * say(text, voice), np.float32), RATE_HZ),
            Sound(np.concatenate((answer_S, silence_S)), RATE_HZ),
        )
        write_turn(folder, turn, at + timedelta(seconds=30 * i))
