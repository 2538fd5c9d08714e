"""A codec small enough for a test, and noise that sounds like nothing."""

import dataclasses
from typing import Any

import numpy as np
import torch

from moss_speech.audio import Samples
from moss_speech.codec.config import PUBLISHED_CODEC, CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.model import Codec
from moss_speech.codec.readout import ENGLISH, Alphabet, CtcReadout

RATE_HZ = 16000


def small_config(**changes: Any) -> CodecConfig:
    sizes = {
        "d_model": 32,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "num_mel_bins": 80,
        "quantize_position": 2,
        "quantize_vocab_size": 64,
    }
    return dataclasses.replace(PUBLISHED_CODEC, **(sizes | changes))


def small_encoder(seed: int = 0, **changes: Any) -> Encoder:
    torch.manual_seed(seed)
    encoder = Encoder(small_config(**changes)).eval()
    for weight in encoder.parameters():
        weight.data += 0.2 * torch.randn_like(weight)  # masks must matter to the result
    return encoder


def small_codec(seed: int = 0, **changes: Any) -> Codec:
    encoder = small_encoder(seed, **changes)
    readout = CtcReadout(encoder.config.d_model, 16, Alphabet(ENGLISH)).eval()
    return Codec(encoder, readout, digest="0" * 64)


def noise(n_samples: int, seed: int = 0) -> Samples:
    draw = np.random.default_rng(seed)
    return (0.1 * draw.standard_normal(n_samples)).astype(np.float32)
