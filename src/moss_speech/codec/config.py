"""Shape of the encoder, by the published WhisperVQ keys (docs/reference/codec-format.md)."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moss_speech.audio import LISTENING, AudioFormat
from moss_speech.storage import read_json

FEATURE_STRIDE = 2
"""Mel frames for one frame of the encoder: the stride of its second convolution."""
_FIXED = {
    "model_type": "whisper",
    "activation_function": "gelu",
    "pooling_type": "avg",
    "quantize_encoder_only": True,
}


@dataclass(frozen=True)
class CodecConfig:
    """Sizes and masks of one encoder; field names are the keys of the published config.json."""

    d_model: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    num_mel_bins: int
    max_source_positions: int
    """Encoder frames in a segment: 1500, which is 30 s."""
    quantize_position: int
    """Number of layers; pooling and quantising follow the last."""
    quantize_vocab_size: int
    pooling_kernel_size: int
    encoder_causal_convolution: bool
    """True pads convolutions on the left alone; False is Whisper's symmetric padding."""
    encoder_causal_attention: bool
    """False lets every frame see the whole segment, as Whisper does."""
    lookahead_frames: int
    """Own key, 0 as published: how far ahead each causal layer sees; layers add up."""
    window_frames: int | None = None
    """Own key, null as published: a causal layer sees so many frames up to its own, or all."""

    def __post_init__(self) -> None:
        for name in ("d_model", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 1")
        if self.d_model % self.encoder_attention_heads:
            raise ValueError(
                f"d_model is {self.d_model}, must be a multiple of the "
                f"{self.encoder_attention_heads} encoder_attention_heads"
            )
        if self.max_source_positions % self.pooling_kernel_size:
            raise ValueError(
                f"max_source_positions is {self.max_source_positions}, "
                f"must be a multiple of pooling_kernel_size {self.pooling_kernel_size}"
            )
        if not 0 <= self.lookahead_frames <= self.max_source_positions:
            raise ValueError(
                f"lookahead_frames is {self.lookahead_frames}, "
                f"must be 0..{self.max_source_positions}"
            )
        if self.window_frames is not None and self.window_frames < 1:
            raise ValueError(f"window_frames is {self.window_frames}, must be null or at least 1")

    @property
    def n_codes(self) -> int:
        """Entries of the codebook."""
        return self.quantize_vocab_size

    @property
    def segment_codes(self) -> int:
        """Codes of the longest segment; longer audio starts anew after it."""
        return self.max_source_positions // self.pooling_kernel_size

    @property
    def audio_format(self) -> AudioFormat:
        """Rates of what this codec hears."""
        frames = FEATURE_STRIDE * self.pooling_kernel_size
        return dataclasses.replace(LISTENING, n_mels=self.num_mel_bins, frames_per_code=frames)

    @property
    def segment_samples(self) -> int:
        """Samples of the longest segment."""
        return self.segment_codes * self.audio_format.samples_per_code

    @property
    def stream_lag_samples(self) -> int:
        """Samples past a code's end after which a stream tells it; negative is before its end.

        Whole codes of look-ahead, less what the last mel frames of a code are not needed for.
        """
        form = self.audio_format
        ahead_codes = -(-self.lookahead_frames * self.quantize_position // self.pooling_kernel_size)
        return (ahead_codes - 1) * form.samples_per_code + self.code_samples

    @property
    def code_samples(self) -> int:
        """Samples from a code's begin that its features need: the STFT's window ends there."""
        form = self.audio_format
        last_frame = form.frames_per_code - FEATURE_STRIDE
        return last_frame * form.hop_samples + form.window_samples // 2

    def to_json(self) -> dict[str, Any]:
        """The published keys with our values."""
        return {
            **_FIXED,
            "architectures": ["WhisperVQEncoder"],
            **dataclasses.asdict(self),
            "encoder_layers": self.quantize_position,
            "pooling_position": self.quantize_position,
            "sample_rate": self.audio_format.sample_rate_hz,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], where: str = "config.json") -> "CodecConfig":
        """Take our keys from a WhisperVQ config; `ValueError` names a key that does not fit."""
        for key, wanted in _FIXED.items():
            if values.get(key, wanted) != wanted:
                raise ValueError(f"{where}: {key} is {values[key]!r}, must be {wanted!r}")
        values = {"lookahead_frames": 0, "window_frames": None} | values
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise ValueError(f"{where} lacks {', '.join(missing)}")
        layers = values["quantize_position"]
        if (pooled_at := values.get("pooling_position", layers)) != layers:
            raise ValueError(
                f"{where}: pooling_position is {pooled_at}, must equal quantize_position {layers}"
            )
        return cls(**{name: values[name] for name in names})

    @classmethod
    def read(cls, path: Path) -> "CodecConfig":
        """Read a config.json."""
        return cls.from_json(read_json(path), str(path))


PUBLISHED_CODEC = CodecConfig(
    d_model=1280,
    encoder_attention_heads=20,
    encoder_ffn_dim=5120,
    num_mel_bins=128,
    max_source_positions=1500,
    quantize_position=16,
    quantize_vocab_size=16384,
    pooling_kernel_size=4,
    encoder_causal_convolution=True,
    encoder_causal_attention=True,
    lookahead_frames=0,
)
"""The released MOSS-Speech codec."""
