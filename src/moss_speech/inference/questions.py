"""Which audio is a question: long enough, short enough, finite, loud enough.

Shapes: S samples, F frames of 20 ms, W windows of 32 ms.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from moss_speech.audio import LISTENING, Samples, read_audio
from moss_speech.inference.turns import QuestionError
from moss_speech.speech.vad import WINDOW_SAMPLES, VadStream


@dataclass(frozen=True)
class Limits:
    """The allowed range of a spoken question."""

    min_s: float
    max_s: float
    min_level_dbfs: float
    """Level of the loudest 20 ms."""
    min_speech: float
    """Probability of speech that `SPEECH_WINDOWS` windows of 32 ms must reach."""


LIMITS = Limits(min_s=0.2, max_s=30.0, min_level_dbfs=-60.0, min_speech=0.3)
"""0.2 s is the shortest word; 30 s is one segment of the codec, the longest it was trained on.

The fourth likeliest window of synthesised questions reached 0.34 (whispered) to 1.00, of noise,
chords and a hum 0.03 to 0.23.
"""
SPEECH_WINDOWS = 4
"""128 ms, half of the shortest word; a change of chord makes two windows likely."""


def loudest_dbfs(samples_S: Samples, sample_rate_hz: int) -> float:
    """RMS level of the loudest 20 ms in dB of full scale; -inf for digital silence."""
    frame = max(1, sample_rate_hz // 50)
    n_frames = max(1, samples_S.size // frame)
    frames_FS = samples_S[: n_frames * frame].reshape(n_frames, -1)
    power = float(np.square(frames_FS, dtype=np.float64).mean(axis=1).max())
    return float(10 * np.log10(power)) if power > 0 else float("-inf")


def check_length(duration_s: float, limits: Limits) -> None:
    """Refuse a question that is too short or too long."""
    allowed = f"must be {limits.min_s:g}..{limits.max_s:g} s"
    if duration_s < limits.min_s:
        raise QuestionError("audio_too_short", f"the audio lasts {duration_s:.2f} s, {allowed}")
    if duration_s > limits.max_s:
        raise QuestionError("audio_too_long", f"the audio lasts {duration_s:.1f} s, {allowed}")


def check_question(samples_S: Samples, sample_rate_hz: int, limits: Limits) -> None:
    """Raise `QuestionError` with value and allowed range for audio that is no question."""
    if not 8000 <= sample_rate_hz <= 192000:
        raise QuestionError(
            "audio_rate", f"the sample rate is {sample_rate_hz} Hz, must be 8000..192000 Hz"
        )
    if samples_S.ndim != 1 or samples_S.size == 0:
        raise QuestionError(
            "audio_empty", f"the audio has shape {samples_S.shape}, must be mono with samples"
        )
    check_length(samples_S.size / sample_rate_hz, limits)
    if not np.isfinite(samples_S).all():
        bad = int((~np.isfinite(samples_S)).sum())
        raise QuestionError("audio_not_finite", f"the audio holds {bad} NaN or infinite samples")
    level = loudest_dbfs(samples_S, sample_rate_hz)
    if level < limits.min_level_dbfs:
        raise QuestionError(
            "audio_silent",
            f"the audio is silent: its loudest 20 ms reach {level:.0f} dBFS, "
            f"must reach {limits.min_level_dbfs:g} dBFS or more",
        )


def check_speech(samples_S: Samples, limits: Limits) -> None:
    """Refuse sound at the codec's rate in which nobody speaks: noise, music, a hum."""
    check_likely_speech(VadStream().push(np.pad(samples_S, (0, WINDOW_SAMPLES))), limits)


def check_likely_speech(likely_W: NDArray[np.float32], limits: Limits) -> None:
    """Refuse sound whose windows have these probabilities of speech."""
    likely = float(np.sort(likely_W)[-SPEECH_WINDOWS:].min(initial=1.0))
    if likely < limits.min_speech:
        raise QuestionError(
            "no_speech",
            f"no speech was heard: its probability is {likely:.2f}, "
            f"must reach {limits.min_speech:g}; ask closer to the microphone",
        )


def read_question(source: Path | BinaryIO, limits: Limits = LIMITS) -> Samples:
    """Read a recorded question at the codec's rate; `QuestionError` if it is none.

    The length is checked before the sound is decoded, so a long file costs nothing.
    """
    name = getattr(source, "name", "the audio")
    try:
        info = soundfile.info(source)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        reason = getattr(error, "error_string", error)  # without the name that a stream has
        raise QuestionError("not_audio", f"{name} is not readable audio: {reason}") from error
    if info.frames == 0:
        raise QuestionError("audio_empty", f"{name} holds 0 samples, must hold at least 1")
    check_length(info.frames / info.samplerate, limits)
    if not isinstance(source, Path):
        source.seek(0)
    try:
        samples_S = read_audio(source, LISTENING.sample_rate_hz)
    except ValueError as error:
        raise QuestionError("not_audio", str(error)) from error
    check_question(samples_S, LISTENING.sample_rate_hz, limits)
    return samples_S
