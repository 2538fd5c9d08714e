"""What a synthesiser is, and how its programs are called."""

import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import soundfile

from moss_speech.audio import SPEAKING, Samples, resample

PROGRAM_TIMEOUT_S = 60
"""A sentence takes milliseconds; a program that takes this long hangs."""


@dataclass(frozen=True)
class Manner:
    """How a sentence is said, relative to the voice's own rate and pitch (1 = unchanged).

    A synthesiser that cannot change its pitch ignores it; only Piper has a variety to change.
    """

    rate: float = 1.0
    pitch: float = 1.0
    variety: float = 1.0
    """How much renditions of one sentence differ in melody, timing and colour; 0 not at all."""


class Synthesiser(Protocol):
    """Text in, speech out; equal seeds and equal order of calls give equal samples."""

    name: str

    def say(self, text: str, voice: str, manner: Manner) -> Samples:
        """Mono samples at 24 kHz; `ValueError` for a voice it does not have."""


def run_program(command: Sequence[str], package: str) -> bytes:
    """Standard output of a program; `FileNotFoundError` names the apt package if it is missing."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"program {command[0]} is missing: apt-get install {package}")
    done = subprocess.run(command, capture_output=True, timeout=PROGRAM_TIMEOUT_S, check=False)
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"{command[0]} failed with code {done.returncode}: {message}")
    return done.stdout


def speech_from_wav(wav: bytes) -> Samples:
    """Samples at 24 kHz of a WAV file in memory, also one with a header of unknown length."""
    samples_S, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32")
    return resample(samples_S, rate_hz, SPEAKING.sample_rate_hz)
