"""Whether a voice prompt is one person speaking: enough speech, little else, no change of voice.

The limits come from measurements (docs/guides/voices.md). Shapes: S samples, P windows,
K vector width.
"""

from dataclasses import dataclass

from moss_speech.audio import LISTENING, Samples, resample
from moss_speech.speech.ge2e import ge2e
from moss_speech.speech.quality import opinion
from moss_speech.speech.speaker import Vector, similarity
from moss_speech.speech.vad import speech_spans

MIN_SPEECH_S, MIN_SPEECH_SHARE = 0.6, 0.4
"""Speech by voice activity, in seconds and as a part of the prompt."""
MIN_QUALITY = 1.8
"""Overall opinion score (DNSMOS); speech lies above, music, tones and noise below."""
MIN_ONE_VOICE = 0.72
"""Similarity of what comes before and after any moment; two voices lie below."""


@dataclass(frozen=True)
class Speaking:
    """What was measured of a prompt."""

    speech_s: float
    quality: float
    one_voice: float
    """Least similarity of what comes before and after a moment; 1 if too short to tell."""


def least_agreement(vectors_PK: Vector) -> float:
    """The least similarity of the windows before and after a border; 1 for a single window."""
    parts = ((vectors_PK[:at], vectors_PK[at:]) for at in range(1, len(vectors_PK)))
    return min((similarity(a.mean(axis=0), b.mean(axis=0)) for a, b in parts), default=1.0)


def check_speaking(name: str, prompt_S: Samples, sample_rate_hz: int) -> Speaking:
    """Measure a prompt; `ValueError` if it is not one person speaking, with value and limit."""
    heard_S = resample(prompt_S, sample_rate_hz, LISTENING.sample_rate_hz)
    speech_s = sum(span.end_s - span.start_s for span in speech_spans(heard_S))
    share = speech_s * LISTENING.sample_rate_hz / max(heard_S.size, 1)
    if speech_s < MIN_SPEECH_S or share < MIN_SPEECH_SHARE:
        raise ValueError(
            f"voice {name}: prompt holds {speech_s:.2f} s of speech, {share:.0%} of it; "
            f"must be at least {MIN_SPEECH_S} s and {MIN_SPEECH_SHARE:.0%}: is it music or noise?"
        )
    quality = opinion(heard_S).overall
    if quality < MIN_QUALITY:
        raise ValueError(
            f"voice {name}: prompt sounds like {quality:.2f} of 5, must be at least "
            f"{MIN_QUALITY}: record it without noise or music"
        )
    one_voice = least_agreement(ge2e().windows(heard_S))
    if one_voice < MIN_ONE_VOICE:
        raise ValueError(
            f"voice {name}: voices before and after a moment of the prompt agree by "
            f"{one_voice:.2f}, must be at least {MIN_ONE_VOICE}: let one person speak"
        )
    return Speaking(round(speech_s, 2), round(quality, 2), round(one_voice, 2))
