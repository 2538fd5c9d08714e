"""A recording through codes into a voice: what codec and decoder alone make of it.

Shapes: S samples, N codes.
"""

import time
from dataclasses import dataclass
from math import log2
from pathlib import Path

import numpy as np

from moss_speech.audio import Samples, read_audio
from moss_speech.bundle import SpeechParts
from moss_speech.codec.model import Codes
from moss_speech.decoder.voice import Voice
from moss_speech.inference.sound_files import check_ending, write_sound

WHOLE_CODES = 375
"""Longer recordings (30 s) are streamed: the memory of a whole decode grows with its square."""


@dataclass(frozen=True)
class Resynthesis:
    """What was made, and how fast on this machine."""

    voice: str
    duration_s: float
    codes: int
    bits_per_s: float
    streamed: bool
    encode_rtf: float
    """Seconds of work for a second of sound."""
    decode_rtf: float


def streamed(parts: SpeechParts, codes_N: Codes, voice: Voice) -> Samples:
    """Speech of codes that come one by one."""
    stream = parts.decoder.stream(voice)
    pieces = [stream.push(codes_N[i : i + 1]) for i in range(len(codes_N))]
    return np.concatenate([*pieces, stream.finish()])


def resynthesise(
    parts: SpeechParts, source: Path, target: Path, voice: Voice, stream: bool
) -> Resynthesis:
    """Encode `source`, decode it in a voice and write `target` (WAV or FLAC).

    Raises `ValueError` for a file that is no audio, or an ending that is neither.
    """
    check_ending(target)
    heard_S = read_audio(source, parts.codec.config.audio_format.sample_rate_hz)
    started = time.perf_counter()
    codes_N = parts.codec.encode([heard_S])[0]
    encoded = time.perf_counter()
    stream = stream or len(codes_N) > WHOLE_CODES
    said_S = streamed(parts, codes_N, voice) if stream else parts.decoder.decode(codes_N, voice)
    decoded = time.perf_counter()
    format = parts.decoder.format
    write_sound(target, said_S, format.sample_rate_hz)
    duration_s = said_S.size / format.sample_rate_hz
    return Resynthesis(
        voice=voice.name,
        duration_s=round(duration_s, 3),
        codes=len(codes_N),
        bits_per_s=round(format.codes_per_s * log2(parts.codec.config.n_codes), 1),
        streamed=stream,
        encode_rtf=round((encoded - started) / duration_s, 4),
        decode_rtf=round((decoded - encoded) / duration_s, 4),
    )
