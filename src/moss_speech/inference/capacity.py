"""What serving a model needs in memory, from its configs alone: weights, voices, sessions.

A session is one slot of the language model's cache, one stream of the decoder and one listener of
the codec. Codec, decoder and vocoder compute in float32.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from moss_speech.bundle import CODEC, FLOW, LM, VOCODER
from moss_speech.codec.config import CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.stream import stream_bytes
from moss_speech.decoder.config import (
    FlowConfig,
    HiftConfig,
    VocosConfig,
    read_flow_config,
    read_vocoder_config,
)
from moss_speech.decoder.load import new_vocoder, on_meta_device
from moss_speech.decoder.plan import plan_streams
from moss_speech.inference.scheduler import Space
from moss_speech.lm.config import LMConfig, read_config
from moss_speech.lm.plan import kv_bytes_per_row
from moss_speech.lm.quantize import Scheme, hollow, quantized_layers

Weights = Literal["fp32", "bf16", "int8"]
"""Types of the language model; int8 is that of its linear layers, beside bfloat16."""
_FLOAT_BYTES: dict[Weights, int] = {"fp32": 4, "bf16": 2, "int8": 2}


@dataclass(frozen=True)
class Sizes:
    """The configs of a model's parts."""

    lm: LMConfig
    codec: CodecConfig
    flow: FlowConfig
    vocoder: VocosConfig | HiftConfig

    @classmethod
    def of_bundle(cls, folder: Path) -> "Sizes":
        """Read the configs of a bundle; `ValueError` names one that is missing or wrong."""
        return cls(
            read_config(folder / LM),
            CodecConfig.read(folder / CODEC / "config.json"),
            read_flow_config(folder / FLOW),
            read_vocoder_config(folder / VOCODER),
        )


@dataclass(frozen=True)
class ServingPlan:
    """Bytes of a served model."""

    weights: Weights
    lm_bytes: int
    speech_bytes: int
    """Weights of codec, decoder and vocoder."""
    voice_bytes: int
    """What all sessions of one voice share."""
    row_bytes: int
    """Language model cache of one grid row."""
    cache_bytes: int
    """Language model cache of a session."""
    speaking_bytes: int
    listening_bytes: int
    room_sessions: int
    """Streams of one voice that the decoder sets aside together."""

    @property
    def session_bytes(self) -> int:
        """One more session, its share of a full room."""
        return self.cache_bytes + self.speaking_bytes + self.listening_bytes

    def sessions(self, memory_bytes: int, n_voices: int) -> int:
        """Sessions that fit into memory beside weights and voices; each voice has open rooms.

        They are spread so that all rooms but one of each voice are full; a room has no more
        places than there are sessions.
        """
        fixed = self.lm_bytes + self.speech_bytes + n_voices * self.voice_bytes
        own, left = self.cache_bytes + self.listening_bytes, memory_bytes - fixed
        few = max(0, left) // (own + n_voices * self.speaking_bytes)
        if few < self.room_sessions:
            return few
        room_bytes = self.room_sessions * self.speaking_bytes
        left -= (n_voices - 1) * room_bytes
        rooms, rest = divmod(left, self.room_sessions * self.session_bytes)
        return rooms * self.room_sessions + max(0, rest - room_bytes) // own


def plan_serving(sizes: Sizes, weights: Weights, session_rows: int) -> ServingPlan:
    """Count a model; `ValueError` for sessions longer than its positions."""
    limit = sizes.lm.max_position_embeddings
    if not 1 <= session_rows <= limit:
        raise ValueError(f"session rows are {session_rows}, must be 1..{limit} (the model's)")
    vocoder = new_vocoder(sizes.vocoder)
    with torch.device("meta"):
        encoder = Encoder(sizes.codec)
    flow = sizes.flow
    stream = plan_streams(flow, flow.format, flow.voice_codes)
    precision: Literal["fp32", "bf16"] = "fp32" if weights == "fp32" else "bf16"
    kv_bytes = kv_bytes_per_row(sizes.lm, precision)
    trunk_bytes = sizes.lm.hidden_size * _FLOAT_BYTES[weights]
    return ServingPlan(
        weights=weights,
        lm_bytes=_lm_bytes(sizes.lm, weights),
        speech_bytes=sum(_float32_bytes(part) for part in (encoder, on_meta_device(flow), vocoder)),
        voice_bytes=stream.voice_bytes,
        row_bytes=kv_bytes + trunk_bytes,
        cache_bytes=kv_bytes * (session_rows + 1) + trunk_bytes * session_rows,
        speaking_bytes=stream.session_bytes + _nbytes(vocoder.start(1).values()),
        listening_bytes=stream_bytes(sizes.codec),
        room_sessions=Space().mouths,
    )


def _lm_bytes(config: LMConfig, weights: Weights) -> int:
    """Weights in memory; what a quantised layer holds keeps its own types."""
    model = hollow(config, Scheme("int8") if weights == "int8" else None)
    own = {
        f"{name}.{part}": tensor
        for name, layer in quantized_layers(model).items()
        for part, tensor in layer.state_dict().items()
    }
    others = [w for name, w in model.state_dict().items() if name not in own]
    n_values: int = sum(w.numel() for w in others)
    return _nbytes(own.values()) + n_values * _FLOAT_BYTES[weights]


def _float32_bytes(module: nn.Module) -> int:
    return _nbytes(module.parameters()) + _nbytes(module.buffers())


def _nbytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
