"""What streams of a flow network keep in memory, counted from the config alone."""

from dataclasses import dataclass

from moss_speech.decoder.flow.estimator import KERNEL
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


def plan_streams(
    shape: FlowShape, n_mels: int, frames_per_code: int, pinned_codes: int
) -> StreamPlan:
    """Count a stream and a voice of so many pinned codes."""
    size = _BYTES[shape.cache]
    code = 2 * shape.n_layers * shape.width * size
    blocks = (2 + shape.n_mid_blocks) * shape.n_transformers
    estimator = 2 * blocks * shape.attention_heads * shape.head_width * size
    frame = 2 * shape.n_up_layers * shape.width * size + _REPEATS * shape.steps * estimator
    per_code = code + frames_per_code * frame
    ends = _ends_of_convolutions(shape, n_mels, frames_per_code)
    ring_codes = shape.context_codes + shape.chunk_codes
    voice = pinned_codes * per_code + ends if pinned_codes else 0
    return StreamPlan(ring_codes * per_code + ends, voice, frame)


def _ends_of_convolutions(shape: FlowShape, n_mels: int, frames_per_code: int) -> int:
    conformer = shape.width * (KERNEL - 1 + 2 * frames_per_code)
    width, n_mid = shape.channels, shape.n_mid_blocks
    first = 4 * n_mels + n_mid * width + 2 * width
    second, last, final = (2 + n_mid) * width, 2 * width, width
    inputs = first + second + last + final
    return _BYTES["fp32"] * (conformer + (KERNEL - 1) * _REPEATS * shape.steps * inputs)
