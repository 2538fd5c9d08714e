"""Small networks and voices with random weights, shared by the decoder's tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moss_speech.audio import SPEAKING, Samples
from moss_speech.decoder.config import FlowConfig, VocoderConfig
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.model import SpeechDecoder
from moss_speech.decoder.vocoder.vocos import Vocoder
from moss_speech.decoder.voice import Rights, Voice, make_voice
from moss_speech.params.decoder import FlowShape, VocoderShape

N_CODES = 24
RIGHTS = Rights(licence="CC0", consent="made by a program")


def flow_shape(**changes: Any) -> FlowShape:
    values: dict[str, Any] = {
        "embedding_rows": 32,
        "width": 16,
        "n_heads": 2,
        "ffn_width": 24,
        "n_layers": 2,
        "n_up_layers": 1,
        "lookahead_codes": 3,
        "speaker": "mel-statistics",
        "speaker_width": 160,
        "channels": 16,
        "attention_heads": 2,
        "head_width": 8,
        "n_mid_blocks": 1,
        "n_transformers": 1,
        "chunk_codes": 5,
        "context_codes": 50,
        "steps": 2,
        "guidance": 0.7,
        "noise_scale": 1.0,
        "noise_frames": 1000,
    }
    return FlowShape(**values | changes)


def flow_network(seed: int = 0, **changes: Any) -> FlowNetwork:
    torch.manual_seed(seed)
    shape = flow_shape(**changes)
    config = FlowConfig(**shape.model_dump(), n_codes=N_CODES, codec_digest="d", format=SPEAKING)
    return FlowNetwork(config).eval()


def vocoder_shape(**changes: Any) -> VocoderShape:
    values = {
        "width": 16,
        "ffn_width": 24,
        "n_blocks": 2,
        "kernel": 7,
        "lookahead_frames": 3,
        "n_fft": 1920,
    }
    return VocoderShape(**values | changes)


def vocoder(**changes: Any) -> Vocoder:
    torch.manual_seed(1)
    config = VocoderConfig(**vocoder_shape(**changes).model_dump(), format=SPEAKING)
    return Vocoder(config).eval()


def speech_decoder(**changes: Any) -> SpeechDecoder:
    return SpeechDecoder(flow_network(**changes), vocoder())


class LoudnessEncoder:
    """A real encoder, if a poor one: the loudness of each 80 ms."""

    def encode(self, audio: Sequence[Samples]) -> list[NDArray[np.int64]]:
        return [self._codes(samples_S) for samples_S in audio]

    def _codes(self, samples_S: Samples) -> NDArray[np.int64]:
        padded = np.pad(samples_S, (0, -samples_S.size % 1280)).reshape(-1, 1280)
        loud = np.sqrt(np.square(padded).mean(1))
        return np.minimum(loud * 100, N_CODES - 1).astype(np.int64)


def tone(duration_s: float, peak: float = 0.5, hz: float = 220.0) -> Samples:
    """A tone that swells, so that its codes differ."""
    time_S = np.arange(round(duration_s * SPEAKING.sample_rate_hz)) / SPEAKING.sample_rate_hz
    swell_S = 0.5 - 0.5 * np.cos(2 * np.pi * 1.7 * time_S)
    return np.asarray(peak * swell_S * np.sin(2 * np.pi * hz * time_S), np.float32)


def voice(decoder: SpeechDecoder, duration_s: float = 1.3) -> Voice:
    return make_voice(
        "tone", tone(duration_s), LoudnessEncoder(), decoder.flow.config, rights=RIGHTS
    )
