"""Adding a voice: a recording is checked, everything is computed from it once, and kept.

Shapes: S samples, K speaker width.
"""

from dataclasses import dataclass
from pathlib import Path

import jiwer
import soundfile

from moss_speech.audio import LISTENING, SPEAKING, Samples, read_audio
from moss_speech.bundle import SpeechParts
from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.voice import (
    Rights,
    Voice,
    check_name,
    check_prompt,
    make_voice,
    save_voice,
)
from moss_speech.speech.encoders import speaker_encoder
from moss_speech.speech.prompt import Speaking, check_speaking
from moss_speech.speech.recognisers import Whisper
from moss_speech.speech.speaker import Vector
from moss_speech.speech.text import normalise

MAX_TEXT_ERROR = 0.5
"""Word error between the given text and what Whisper hears; another text lies near 1."""


@dataclass(frozen=True)
class Wanted:
    """A voice that somebody wants to add."""

    name: str
    prompt: Path
    rights: Rights
    text: str
    """What the prompt says; empty if it is not told."""
    campplus: Path | None
    """The released speaker encoder."""


@dataclass(frozen=True)
class AddedVoice:
    """The voice, what was measured of its prompt, and the word error of its text if it has one."""

    voice: Voice
    speaking: Speaking
    text_error: float | None


def add_voice(wanted: Wanted, parts: SpeechParts, folder: Path) -> AddedVoice:
    """Check a prompt, make the voice for a model and keep it in the store `folder`.

    Raises `ValueError` for a name that is taken, a prompt that is not one person speaking
    clearly, a text that is not what is said, or a speaker encoder that is missing.
    """
    name, config = wanted.name, parts.decoder.flow.config
    check_name(name)
    if name in parts.voices:
        raise ValueError(f"voice {name!r} is one of the model's own, choose another name")
    if (folder / name).exists():
        raise ValueError(f"voice {name!r} was added before: `moss-speech voice remove {name}`")
    spoken_S = read_audio(wanted.prompt, SPEAKING.sample_rate_hz)
    check_prompt(name, spoken_S, SPEAKING.sample_rate_hz)
    speaking = check_speaking(name, spoken_S, SPEAKING.sample_rate_hz)
    text_error = _check_text(name, wanted) if wanted.text else None
    prompt_hz = soundfile.info(wanted.prompt).samplerate
    voice = make_voice(
        name,
        read_audio(wanted.prompt, prompt_hz),
        parts.codec,
        config,
        rights=wanted.rights,
        speaker_K=_speaker(spoken_S, config, wanted.campplus),
        prompt_hz=prompt_hz,
        text=wanted.text,
    )
    save_voice(voice, folder / name)
    return AddedVoice(voice, speaking, text_error)


def _check_text(name: str, wanted: Wanted) -> float:
    heard = Whisper("whisper-base").transcribe(
        [read_audio(wanted.prompt, LISTENING.sample_rate_hz)]
    )[0]
    if not (said := normalise(wanted.text)):
        raise ValueError(f"voice {name}: text {wanted.text!r} holds no word, must hold one")
    error = float(jiwer.wer(said, heard))
    if error > MAX_TEXT_ERROR:
        raise ValueError(
            f"voice {name}: text and prompt differ by {error:.2f} word errors a word, at most "
            f"{MAX_TEXT_ERROR}; heard was {heard!r}"
        )
    return round(error, 2)


def _speaker(spoken_S: Samples, config: FlowConfig, campplus: Path | None) -> Vector | None:
    """The speaker vector that a decoder is given; None for one that computes its own."""
    if config.speaker == "mel-statistics":
        if campplus is not None:
            raise ValueError(f"{campplus} is not needed: this model computes its speaker vectors")
        return None
    return speaker_encoder(config.speaker_width, campplus)(spoken_S)
