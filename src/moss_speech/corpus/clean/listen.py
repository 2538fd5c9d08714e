"""Listening to a sample: a recogniser and a quality graph, on items spread over the voices."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from moss_speech.audio import LISTENING, read_audio
from moss_speech.corpus.items import Utterance
from moss_speech.speech.quality import opinion
from moss_speech.speech.recognisers import Whisper

RECOGNISER: Final = "whisper-tiny.en"
"""Never a judge of the evaluation."""


@dataclass(frozen=True)
class Heard:
    """What was heard of one item and how good it sounds (DNSMOS overall, 1..5)."""

    id: str
    words: str
    quality: float


def stratified(utterances: list[Utterance], count: int | None, seed: int) -> list[Utterance]:
    """At most `count` items, as evenly over speakers as they allow; None: all."""
    if count is None or count >= len(utterances):
        return utterances
    random = np.random.default_rng([seed, 2])
    by_speaker: dict[str, list[Utterance]] = {}
    for index in random.permutation(len(utterances)):
        by_speaker.setdefault(utterances[index].speaker, []).append(utterances[index])
    ranked = [(rank, s, u) for s, us in by_speaker.items() for rank, u in enumerate(us)]
    ranked.sort(key=lambda x: x[0])
    return [u for _, _, u in ranked[:count]]


@cache
def _recogniser() -> Whisper:
    return Whisper(RECOGNISER)


def listen(block: list[tuple[str, Path]]) -> list[Heard]:
    """Hear a block of items by id and audio file."""
    clips = [read_audio(path, LISTENING.sample_rate_hz) for _, path in block]
    words = _recogniser().transcribe(clips)
    return [
        Heard(item_id, text, opinion(clip).overall)
        for (item_id, _), text, clip in zip(block, words, clips, strict=True)
    ]
