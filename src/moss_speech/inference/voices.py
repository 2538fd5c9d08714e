"""Voices that people added to a project, beside those of its models: `voices/NAME` at the root.

Each is a voice folder as bundles hold them (docs/reference/decoder-format.md), made for the model
that it was added with. For another model it is made anew from its prompt when that model is
opened; nothing is written then.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from moss_speech.bundle import SpeechParts
from moss_speech.codec.model import Codec
from moss_speech.decoder.config import FlowConfig
from moss_speech.decoder.voice import Voice, check_voice, make_voice, read_voice
from moss_speech.settings import settings

P = TypeVar("P", bound=SpeechParts)


def store() -> Path:
    """The folder of the project's added voices; it may not exist yet."""
    return settings().root / "voices"


def added_voices(folder: Path) -> dict[str, Voice]:
    """Every voice of a store by name; `ValueError` names one that is damaged."""
    return {name: read_voice(folder / name) for name in _names(folder)}


def _names(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("[!.]*/voice.json"))


def speaks(voice: Voice, config: FlowConfig) -> bool:
    """Whether a decoder can use a voice: it has the speaker vector, or the decoder makes it."""
    return config.speaker == "mel-statistics" or voice.speaker.shape == (config.speaker_width,)


def fitted(voice: Voice, codec: Codec, config: FlowConfig) -> Voice:
    """The voice as the decoder wants it; made anew if it was made for another model."""
    made_for = (voice.codec_digest, *voice.speaker.shape)
    if made_for == (config.codec_digest, config.speaker_width):
        check_voice(voice, config)
        return voice
    return make_voice(
        voice.name,
        voice.prompt,
        codec,
        config,
        rights=voice.rights,
        speaker_K=voice.speaker,
        prompt_hz=voice.prompt_hz,
        text=voice.text,
    )


def with_added_voices(parts: P, folder: Path) -> P:
    """The model with all added voices that it can speak with; its own voices keep their names.

    Raises `ValueError` if there is none at all, which only a released model's bundle allows.
    """
    config = parts.decoder.flow.config
    added = {
        name: fitted(voice, parts.codec, config)
        for name, voice in added_voices(folder).items()
        if name not in parts.voices and speaks(voice, config)
    }
    if not (voices := parts.voices | added):
        raise ValueError(
            f"the model has no voice, and {folder} holds none for it: "
            "`moss-speech voice add NAME RECORDING` adds one"
        )
    return replace(parts, voices=voices)


def choose_voice(parts: SpeechParts, name: str | None) -> Voice:
    """A voice by name, the first one for None; `ValueError` lists the names that there are."""
    wanted = next(iter(parts.voices)) if name is None else name
    if wanted not in parts.voices:
        raise ValueError(f"voice is {wanted!r}, must be one of {', '.join(parts.voices)}")
    return parts.voices[wanted]


def remove_voice(name: str, folder: Path) -> None:
    """Delete an added voice with its prompt; `ValueError` for any other name."""
    if name not in (names := _names(folder)):
        there = f"added are {', '.join(names)}" if names else "none was added"
        raise ValueError(f"no added voice {name!r}: {there}; a model's own voices stay with it")
    shutil.rmtree(folder / name)
