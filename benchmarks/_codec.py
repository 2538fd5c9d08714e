"""Codecs of random weights in the shapes of the presets, for the benchmarks."""

from typing import Any

import numpy as np
import torch

from moss_speech.audio import SPEAKING
from moss_speech.decoder.config import FlowConfig, vocoder_config
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.load import new_vocoder
from moss_speech.decoder.model import SpeechDecoder
from moss_speech.decoder.voice import Rights, Voice
from moss_speech.params.presets import presets
from moss_speech.params.sections import load_pipeline
from moss_speech.settings import settings

N_CODES = 512
SMALLER_FLOW = {
    "width": 256,
    "ffn_width": 1024,
    "channels": 128,
    "attention_heads": 4,
    "n_mid_blocks": 2,
    "n_transformers": 2,
}
SMALLER_VOCODER = {"channels": 128, "f0_channels": 128}
"""Changes that leave the released decoder's structure: 19 M values of 121 M, and 1.4 M of 21 M."""


def speech_decoder(
    preset: str, flow: dict[str, Any] | None = None, vocoder: dict[str, Any] | None = None
) -> SpeechDecoder:
    """The decoder of a preset, with changes."""
    torch.manual_seed(0)
    params = load_pipeline(presets(settings().root)[preset])
    shape = params.train_decoder.model.model_copy(update=flow or {})
    config = FlowConfig(
        **shape.model_dump(), n_codes=N_CODES, codec_digest="random", format=SPEAKING
    )
    sound = params.train_vocoder.model.model_copy(update=vocoder or {})
    return SpeechDecoder(FlowNetwork(config), new_vocoder(vocoder_config(sound, SPEAKING)))


def voice(decoder: SpeechDecoder, n_codes: int) -> Voice:
    """A random voice of so many codes."""
    config, draw = decoder.flow.config, np.random.default_rng(1)
    n_samples = n_codes * config.format.samples_per_code
    return Voice(
        "random",
        draw.integers(0, N_CODES, n_codes),
        draw.normal(-5, 2, (n_codes * config.format.frames_per_code, config.format.n_mels)).astype(
            np.float32
        ),
        draw.normal(0, 1, config.speaker_width).astype(np.float32),
        draw.normal(0, 0.1, n_samples).astype(np.float32),
        config.format.sample_rate_hz,
        "",
        Rights(licence="none", consent="random numbers"),
        config.codec_digest,
    )


def reply(n_codes: int, seed: int = 0) -> list[int]:
    """Random codes."""
    codes: list[int] = np.random.default_rng(seed).integers(0, N_CODES, n_codes).tolist()
    return codes
