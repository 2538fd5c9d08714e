"""One recorded question to one recorded answer, for the shell."""

import io
from dataclasses import dataclass
from pathlib import Path

import torch

from moss_speech.audio import LISTENING, write_audio
from moss_speech.bundle import Bundle
from moss_speech.inference.engine import Engine
from moss_speech.inference.questions import read_question
from moss_speech.inference.turns import Reply, Turn
from moss_speech.settings import settings
from moss_speech.storage import write_bytes


@dataclass(frozen=True)
class AskResult:
    """What was answered, and where the sound is; None for an answer in text."""

    reply: Reply
    answer: Path | None


def ask(model: Path, question: Path, answer: Path | None, seed: int = 0) -> AskResult:
    """Ask the bundle in folder `model` a recorded question.

    The answer is spoken into the file `answer` (its ending chooses WAV or FLAC), or is text if
    there is none. Raises `ValueError` for a bundle or question that cannot be used.
    """
    if answer is not None and answer.suffix.lower() not in (".wav", ".flac"):
        raise ValueError(f"{answer} ends in {answer.suffix!r}, must end in .wav or .flac")
    if not question.is_file():
        raise ValueError(f"{question} is missing")
    torch.set_num_threads(settings().threads)
    turn = Turn("user", audio=read_question(question), sample_rate_hz=LISTENING.sample_rate_hz)
    engine = Engine(Bundle.open(model))
    reply = engine.reply([turn], "text" if answer is None else "audio", seed=seed)
    if answer is not None:
        file = io.BytesIO()
        write_audio(file, reply.audio, reply.sample_rate_hz, format=answer.suffix[1:].upper())
        write_bytes(answer, file.getvalue())
    return AskResult(reply, answer)
