"""One recorded question to one recorded answer, for the shell."""

from dataclasses import dataclass
from pathlib import Path

import torch

from moss_speech.audio import LISTENING
from moss_speech.bundle import Bundle
from moss_speech.inference.engine import Engine
from moss_speech.inference.questions import read_question
from moss_speech.inference.sound_files import check_ending, write_sound
from moss_speech.inference.turns import Output, Reply, Turn
from moss_speech.inference.voices import store, with_added_voices
from moss_speech.settings import settings


@dataclass(frozen=True)
class AskResult:
    """What was answered, and where the sound is; None for an answer in text."""

    reply: Reply
    answer: Path | None


def ask(
    model: Path, question: Path, answer: Path | None, voice: str | None = None, seed: int = 0
) -> AskResult:
    """Ask the bundle in folder `model` a recorded question.

    The answer is spoken into the file `answer` (its ending chooses WAV or FLAC) by one of the
    model's voices or an added one, or is text if there is no file. Raises `ValueError` for a
    bundle, question or voice that cannot be used.
    """
    if answer is not None:
        check_ending(answer)
    if not question.is_file():
        raise ValueError(f"{question} is missing")
    torch.set_num_threads(settings().threads)
    turn = Turn("user", audio=read_question(question), sample_rate_hz=LISTENING.sample_rate_hz)
    engine = Engine(with_added_voices(Bundle.open(model), store()))
    output: Output = "text" if answer is None else "audio"
    reply = engine.reply([turn], output, seed=seed, voice=voice)
    if answer is not None:
        write_sound(answer, reply.audio, reply.sample_rate_hz)
    return AskResult(reply, answer)
