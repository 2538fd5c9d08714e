"""Sentences to be spoken: who says each, how fast, how loud; the same for the same seed."""

import hashlib
from collections.abc import Sequence

import numpy as np

from moss_speech.corpus.items import Role
from moss_speech.corpus.sources.lines import Line, Scene
from moss_speech.params.synthesis import Synthesised, Voices
from moss_speech.speech.voices.base import Manner

_LEVEL_DB, _PAUSE_S, _VARIETY = -23.0, 0.15, 1.0


def random_of(seed: int, id_: str) -> np.random.Generator:
    """Draws that depend on seed and id alone, not on what else is read."""
    digest = hashlib.sha256(f"{seed} {id_}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))


def one_of(voices: Sequence[Voices], random: np.random.Generator) -> tuple[str, str]:
    """Synthesiser and voice, every voice equally likely."""
    every = [(v.synthesizer, name) for v in voices for name in v.names]
    return every[int(random.integers(len(every)))]


def line(
    id_: str,
    text: str,
    voice: tuple[str, str],
    role: Role,
    p: Synthesised,
    random: np.random.Generator,
) -> Line:
    """A line of the training split; accents of an espeak-ng voice are one speaker."""
    synthesizer, name = voice
    variant = name.split("+")[-1] if synthesizer == "espeak-ng" else name
    return Line(
        id=id_,
        text=text,
        synthesizer=synthesizer,
        voice=name,
        speaker=f"{synthesizer}:{variant}",
        role=role,
        voice_split="train",
        text_split="train",
        manner=Manner(rate=random.uniform(p.rate_range[0], p.rate_range[1]), variety=_VARIETY),
        throat=1.0,
        scene=Scene(_LEVEL_DB, pause_before_s=_PAUSE_S, pause_after_s=_PAUSE_S),
        seed=0,
        tags={"synthesizer": synthesizer, "source": p.name, "transcript": "given"},
    )
