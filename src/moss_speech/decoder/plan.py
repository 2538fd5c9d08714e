"""What streams of a flow network keep in memory, counted from the config alone."""

from dataclasses import dataclass

from moss_speech.audio import AudioFormat
from moss_speech.decoder.flow.estimator import KERNEL
from moss_speech.decoder.flow.view import pinned_codes
from moss_speech.params.decoder import FlowShape

_BYTES = {"fp32": 4, "bf16": 2}
_REPEATS = 2
"""Guidance computes everything in the estimator with and without conditions."""


@dataclass(frozen=True)
class StreamPlan:
    """Bytes of one stream, and of one voice that all its streams share."""

    session_bytes: int
    voice_bytes: int
    frame_bytes: int
    """Keys and values of one mel frame in every layer and Euler step."""
    voice_codes: int
    context_codes: int


def plan_streams(shape: FlowShape, format: AudioFormat, n_voice: int) -> StreamPlan:
    """Count a stream and a voice of so many codes; what lies above `voice_codes` is not used."""
    n_voice, per_code_frames = shape.used_codes(n_voice), format.frames_per_code
    pinned = pinned_codes(n_voice, shape.chunk_codes, shape.lookahead_codes)
    size = _BYTES[shape.cache]
    code = 2 * shape.n_layers * shape.width * size
    blocks = (2 + shape.n_mid_blocks) * shape.n_transformers
    estimator = 2 * blocks * shape.attention_heads * shape.head_width * size
    frame = 2 * shape.n_up_layers * shape.width * size + _REPEATS * shape.steps * estimator
    per_code = code + per_code_frames * frame
    ends = _ends_of_convolutions(shape, format)
    ring_codes = shape.context_codes + shape.chunk_codes
    voice = pinned * per_code + ends if pinned else 0
    session = ring_codes * per_code + ends
    return StreamPlan(session, voice, frame, n_voice, shape.context_codes)


def _ends_of_convolutions(shape: FlowShape, format: AudioFormat) -> int:
    conformer = shape.width * (KERNEL - 1 + 2 * format.frames_per_code)
    width, n_mid = shape.channels, shape.n_mid_blocks
    first = 4 * format.n_mels + n_mid * width + 2 * width
    second, last, final = (2 + n_mid) * width, 2 * width, width
    inputs = first + second + last + final
    return _BYTES["fp32"] * (conformer + (KERNEL - 1) * _REPEATS * shape.steps * inputs)
