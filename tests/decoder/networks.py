"""Small networks and voices with random weights, shared by the decoder's tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moss_speech.audio import SPEAKING, Samples
from moss_speech.decoder.config import FlowConfig, HiftConfig, VocosConfig
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.model import SpeechDecoder
from moss_speech.decoder.vocoder.hift import HiFT
from moss_speech.decoder.vocoder.vocos import Vocos
from moss_speech.decoder.voice import Rights, Voice, make_voice
from moss_speech.params.decoder import FlowShape, HiftShape, VocosShape

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
        "context_codes": 25,
        "voice_codes": 100,
        "cache": "fp32",
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


def vocoder_shape(**changes: Any) -> VocosShape:
    values = {
        "kind": "vocos",
        "width": 16,
        "ffn_width": 24,
        "n_blocks": 2,
        "kernel": 7,
        "lookahead_frames": 3,
        "n_fft": 1920,
    }
    return VocosShape(**values | changes)


def vocoder(**changes: Any) -> Vocos:
    torch.manual_seed(1)
    config = VocosConfig(**vocoder_shape(**changes).model_dump(), format=SPEAKING)
    return Vocos(config).eval()


def hift_shape(**changes: Any) -> HiftShape:
    values = {
        "kind": "hift",
        "channels": 16,
        "upsample_rates": [8, 5, 3],
        "upsample_kernels": [16, 11, 7],
        "n_fft": 16,
        "resblock_kernels": [3, 5],
        "source_kernels": [7, 7, 11],
        "dilations": [1, 3],
        "n_harmonics": 8,
        "f0_channels": 12,
        "lookahead_frames": None,
    }
    return HiftShape(**values | changes)


def hift(**changes: Any) -> HiFT:
    """With a voice of about 150 Hz, so that the source sounds."""
    torch.manual_seed(1)
    net = HiFT(HiftConfig(**hift_shape(**changes).model_dump(), format=SPEAKING)).eval()
    with torch.no_grad():
        net.f0_predictor.classifier.weight.mul_(300)
        net.f0_predictor.classifier.bias.fill_(150)
    return net


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
