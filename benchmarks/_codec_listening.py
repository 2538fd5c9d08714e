"""How fast the tokenizer listens: streaming against the whole, over time, and in what memory.

Figures are of the codec's shape; its weights play no part. One thread.
"""

import os
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
import psutil
import torch
from _figures import Figure, figure
from _lm import in_turn

from moss_speech.audio import Samples
from moss_speech.codec.config import PUBLISHED_CODEC, CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.model import Codec
from moss_speech.codec.stream import CodecStream

ROUNDS, SECONDS, TIMED_S, MINUTES = 5, 20, 2, 10
CLOSE_ROUNDS = 20
"""Of the ratio that is near its goal."""
WINDOW_FRAMES = 100
"""Two seconds."""
_MB = 1e6


def demo_config() -> CodecConfig:
    """The shape of the demo's codec."""
    return CodecConfig(
        d_model=384,
        encoder_attention_heads=6,
        encoder_ffn_dim=1536,
        num_mel_bins=80,
        max_source_positions=PUBLISHED_CODEC.max_source_positions,
        quantize_position=4,
        quantize_vocab_size=512,
        pooling_kernel_size=PUBLISHED_CODEC.pooling_kernel_size,
        encoder_causal_convolution=True,
        encoder_causal_attention=True,
        lookahead_frames=4,
    )


def codec_of(config: CodecConfig) -> Codec:
    """A codec with random weights."""
    torch.manual_seed(0)
    return Codec(Encoder(config).eval().requires_grad_(False), None, "0" * 64)


def sound(seconds: float, codec: Codec) -> Samples:
    """Noise as loud as speech."""
    n_samples = round(seconds * codec.config.audio_format.sample_rate_hz)
    return (0.1 * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)


def whole_s(codec: Codec, samples_S: Samples) -> float:
    """Seconds that the whole takes at once."""
    began = time.perf_counter()
    codec.encode([samples_S])
    return time.perf_counter() - began


def steps_ms(streams: Sequence[CodecStream], samples_S: Samples, n_samples: int) -> list[float]:
    """Median milliseconds of a step of each stream; they take turns, `n_samples` at a time."""
    took: list[list[float]] = [[] for _ in streams]
    for start in range(0, samples_S.size, n_samples):
        for stream, values in zip(streams, took, strict=True):
            began = time.perf_counter()
            stream.push(samples_S[start : start + n_samples])
            values.append(1000 * (time.perf_counter() - began))
    return [median(values) for values in took]


def a_code_ms(codec: Codec, samples_S: Samples) -> float:
    """Median milliseconds of a code of one stream."""
    per_code = codec.config.audio_format.samples_per_code
    return steps_ms([CodecStream(codec)], samples_S, per_code)[0]


def last_over_first(codec: Codec, samples_S: Samples) -> float:
    """What a code costs at the end of the audio over what it costs at the start of a stream."""
    form, first, last = codec.config.audio_format, CodecStream(codec), CodecStream(codec)
    n_timed = TIMED_S * form.sample_rate_hz
    last.push(samples_S[:-n_timed])
    early, late = steps_ms([first, last], samples_S[-n_timed:], form.samples_per_code)
    return late / early


def prefixes_s(codec: Codec, samples_S: Samples) -> float:
    """Seconds of encoding all audio so far anew at each code, from a tenth of the places."""
    per_code = codec.config.audio_format.samples_per_code
    ends = range(10 * per_code, samples_S.size + 1, 10 * per_code)
    return 10 * sum(whole_s(codec, samples_S[:end]) for end in ends)


def growth_mb(codec: Codec) -> float:
    """What the process's memory peaks above its first minute, over ten minutes of a stream."""
    process, stream = psutil.Process(os.getpid()), CodecStream(codec)
    minute_S, per_code = sound(60, codec), codec.config.audio_format.samples_per_code
    peaks = []
    for _ in range(MINUTES):
        resident = []
        for start in range(0, minute_S.size, per_code):
            stream.push(minute_S[start : start + per_code])
            resident.append(process.memory_info().rss)
        peaks.append(max(resident))
    return (max(peaks) - peaks[0]) / _MB


def listening(name: str, config: CodecConfig) -> list[Figure]:
    """Figures (c), the encoder's part of (d), and (f) of one shape."""
    full = codec_of(config)
    bounded, audio = full.within(WINDOW_FRAMES), sound(SECONDS, full)
    a_second = full.config.audio_format.codes_per_s
    took = in_turn(
        {
            "whole": lambda _: whole_s(full, audio),
            "a code": lambda _: a_code_ms(full, audio),
            "prefixes": lambda _: prefixes_s(full, audio),
        },
        ROUNDS,
        warm=1,
    )
    late = in_turn(
        {
            "bounded": lambda _: last_over_first(bounded, audio),
            "full": lambda _: last_over_first(full, audio),
        },
        CLOSE_ROUNDS,
        warm=1,
    )
    streamed_s = [ms * a_second * SECONDS / 1000 for ms in took["a code"]]
    cheaper = [p / s for p, s in zip(took["prefixes"], streamed_s, strict=True)]
    encoder = [s / SECONDS for s in took["whole"]]
    return [
        figure(f"{name}: stream, a code", took["a code"], "ms"),
        figure(f"c: {name}, window of 2 s, last over first", late["bounded"], "x", goal=1.1),
        figure(f"c: {name}, full context, last over first", late["full"], "x"),
        figure(f"c: {name}, prefix anew over stream, 20 s", cheaper, "x", at_least=10.0),
        figure(f"d: {name}, encoder, seconds a second", encoder, "", goal=0.05),
        figure(f"d: {name}, stream, seconds a second", [s / SECONDS for s in streamed_s], ""),
        figure(f"f: {name}, growth over 10 minutes", [growth_mb(bounded)], "MB", goal=2.0),
    ]


def measure_listening() -> list[Figure]:
    """All figures of the tokenizer at the demo's shape."""
    return listening("demo codec", demo_config())
