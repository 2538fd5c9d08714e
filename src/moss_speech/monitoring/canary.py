"""Canary questions: the same few, asked of the running service again and again.

    {"id": "grass", "text": "what color is grass", "answers": ["green"]}      one line a question
    {"id": "ours", "audio": "ours.wav", "answers": ["at seven", "at 7"]}      audio beside the file

A question of text is spoken by a packaged voice. An answer is right if the recogniser hears one
of `answers` in it, as whole words; an answer in text is read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from moss_speech.audio import SPEAKING, Samples, read_audio
from moss_speech.params.base import Params, validate_section
from moss_speech.speech.text import normalise
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.engines import open_synthesiser
from moss_speech.storage import read_jsonl

VOICE = ("espeak-ng", "en-us+f4")
"""Speaks questions of text."""


class Row(Params):
    """A line of the file."""

    id: str = Field(min_length=1, max_length=100)
    text: str | None = Field(None, min_length=1, max_length=500)
    audio: str | None = Field(None, min_length=1)
    answers: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(min_length=1)


@dataclass(frozen=True)
class Canary:
    """A question [S] at 24 kHz with the answers that are right, as normalised words."""

    id: str
    samples: Samples
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What became of a canary question; `first_s` None if nothing came."""

    id: str
    right: bool
    said: str
    first_s: float | None
    version: str


def read_canaries(path: Path) -> list[Canary]:
    """Read a file of questions; `ValueError` names file, line and what is wrong."""
    if not path.is_file():
        raise ValueError(f"{path} is missing: monitor.canary must be a file of questions, or null")
    canaries: list[Canary] = []
    for number, row in enumerate(read_jsonl(path), 1):
        where = f"{path} line {number}"
        canary = _canary(validate_section(row, Row, where), path.parent, where)
        if canary.id in {earlier.id for earlier in canaries}:
            raise ValueError(f"{where}: id {canary.id!r} occurs twice")
        canaries.append(canary)
    if not canaries:
        raise ValueError(f"{path} holds 0 questions, must hold at least 1")
    return canaries


def _canary(row: Row, folder: Path, where: str) -> Canary:
    answers = tuple(normalise(answer) for answer in row.answers)
    if not all(answers):
        raise ValueError(f"{where}: answers are {row.answers}, each must hold a word")
    if row.audio is not None and row.text is None:
        file = (folder / row.audio).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise ValueError(f"{where}: audio is {row.audio!r}, must lie in the file's folder")
        if not file.is_file():
            raise ValueError(f"{where}: audio {row.audio!r} is missing")
        return Canary(row.id, read_audio(file, SPEAKING.sample_rate_hz), answers)
    if row.text is None or row.audio is not None:
        raise ValueError(f"{where}: must have either text or audio")
    if not normalise(row.text):
        raise ValueError(f"{where}: text is {row.text!r}, must hold a word")
    engine, voice = VOICE
    return Canary(row.id, open_synthesiser(engine, seed=0).say(row.text, voice, Manner()), answers)
