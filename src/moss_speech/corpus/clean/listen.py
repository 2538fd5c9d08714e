"""Listening: recognisers, language and a quality graph, on a sample or on every item.

Shapes: S samples at 16 kHz.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from moss_speech.audio import LISTENING, Samples
from moss_speech.corpus.clean.blocks import Row, Work
from moss_speech.corpus.items import Utterance
from moss_speech.params.clean import Clean, RecogniserName
from moss_speech.speech.quality import opinion
from moss_speech.speech.recognisers import Whisper, open_recogniser


@dataclass(frozen=True)
class Heard:
    """What was heard of one item and how good it sounds (DNSMOS overall, 1..5)."""

    words: str | None
    """By the first recogniser; None: it does not know the item's language."""
    second_words: str | None
    quality: float
    language: str = ""
    """The likeliest language but the declared one; empty where languages are not judged."""
    other_language: float = 0.0
    """Its probability."""


def stratified(speakers: Sequence[int], count: int | None, seed: int) -> list[int]:
    """Places of at most `count` items, as evenly over speakers as they allow; None: all."""
    if count is None or count >= len(speakers):
        return list(range(len(speakers)))
    random = np.random.default_rng([seed, 2])
    by_speaker: dict[int, list[int]] = {}
    for place in random.permutation(len(speakers)):
        by_speaker.setdefault(speakers[place], []).append(int(place))
    ranked = [(rank, n) for places in by_speaker.values() for rank, n in enumerate(places)]
    ranked.sort(key=lambda x: x[0])
    return [n for _, n in ranked[:count]]


@cache
def _language_ear() -> Whisper:
    return Whisper("whisper-base")


def _words(
    name: RecogniserName, utterances: Sequence[Utterance], clips: list[Samples], places: list[int]
) -> dict[int, str]:
    """Words of the items at some places, where the recogniser knows their language."""
    words: dict[int, str] = {}
    for language in sorted({utterances[n].language for n in places}):
        same = [n for n in places if utterances[n].language == language]
        if (recogniser := open_recogniser(name, language)) is not None:
            heard = recogniser.transcribe([clips[n] for n in same])
            words |= dict(zip(same, heard, strict=True))
    return words


def _other_language(clip: Samples, declared: str) -> tuple[str, float]:
    (found,) = _language_ear().languages([clip])
    return max(((n, p) for n, p in found.items() if n != declared), key=lambda x: x[1])


def listen(utterances: Sequence[Utterance], root: Path, p: Clean) -> list[Heard]:
    """Hear items; a second recogniser hears those whose words the first one writes down."""
    clips = [u.read(LISTENING.sample_rate_hz, root) for u in utterances]
    transcripts = [u.tags.get("transcript", "given") for u in utterances]
    spoken = [n for n, transcript in enumerate(transcripts) if transcript != "none"]
    written = [n for n, transcript in enumerate(transcripts) if transcript == "missing"]
    first = _words(p.recognisers[0], utterances, clips, spoken)
    second = [_words(name, utterances, clips, written) for name in p.recognisers[1:]]
    heard = []
    for n, (u, clip) in enumerate(zip(utterances, clips, strict=True)):
        judged = p.max_other_language is not None
        other = _other_language(clip, u.language) if judged else ("", 0.0)
        words = second[0].get(n) if second else None
        heard.append(Heard(first.get(n), words, opinion(clip).overall, *other))
    return heard


def _block(utterances: tuple[Utterance, ...], root: Path, p: Clean) -> list[Row]:
    return [asdict(heard) for heard in listen(utterances, root, p)]


LISTENING_TO = Work("heard", _block, 16)
