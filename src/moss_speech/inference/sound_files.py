"""Sound files that commands write: WAV or FLAC by their ending, whole or not at all."""

import io
from pathlib import Path

from moss_speech.audio import Samples, write_audio
from moss_speech.storage import write_bytes


def check_ending(path: Path) -> None:
    """Raise `ValueError` for a file that would be neither WAV nor FLAC."""
    if path.suffix.lower() not in (".wav", ".flac"):
        raise ValueError(f"{path} ends in {path.suffix!r}, must end in .wav or .flac")


def write_sound(path: Path, samples: Samples, sample_rate_hz: int) -> None:
    """Write 16-bit sound as the file's ending says."""
    check_ending(path)
    file = io.BytesIO()
    write_audio(file, samples, sample_rate_hz, format=path.suffix[1:].upper())
    write_bytes(path, file.getvalue())
