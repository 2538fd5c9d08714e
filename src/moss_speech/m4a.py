"""Audio that libsndfile does not read (AAC in MP4), by a codec library that may be missing."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

LONGEST_S = 4 * 3600
"""A small file can hold days of silence."""


@contextmanager
def decoded(source: Path | BinaryIO, name: str) -> Iterator[BinaryIO]:
    """The first audio stream of a file as a temporary file that libsndfile reads.

    Raises `OSError` for what is no audio, `ValueError` if it is too long or no library is there.
    """
    try:
        import av
    except ImportError:
        raise ValueError(
            f"{name} needs a codec library: install the package av, or convert it to FLAC"
        ) from None
    with tempfile.TemporaryFile() as wave:
        try:
            with av.open(str(source) if isinstance(source, Path) else source) as container:
                _decode(container, wave, name)
        except av.FFmpegError as error:
            raise OSError(error.strerror) from error
        wave.seek(0)
        yield wave


def _decode(container: Any, wave: BinaryIO, name: str) -> None:
    from av import AudioResampler

    if not container.streams.audio:
        raise OSError("it holds no audio stream")
    stream = container.streams.audio[0]
    rate_hz, n_channels, n_samples = stream.rate, stream.channels, 0
    to_floats = AudioResampler("flt", stream.layout, rate_hz)
    with soundfile.SoundFile(wave, "w", rate_hz, n_channels, "FLOAT", format="W64") as file:
        for packet in container.decode(stream):
            for frame in to_floats.resample(packet):
                file.write(frame.to_ndarray().reshape(-1, n_channels))
                n_samples += frame.samples
            if n_samples > LONGEST_S * rate_hz:
                raise ValueError(f"{name} lasts above {LONGEST_S} s, must be at most that")
