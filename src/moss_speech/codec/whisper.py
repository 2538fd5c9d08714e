"""Whisper encoders as a starting point: CTranslate2 model.bin and transformers safetensors.

Both become the encoder's own names, with `layer_norm.*` for Whisper's last norm, which the
codec does not have. The file format is described in docs/reference/codec-format.md.
"""

import re
import struct
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from moss_speech.codec.config import PUBLISHED_CODEC, CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.storage import read_json

_WEIGHTS = "model.safetensors"
_PREFIX = re.compile(r"(model\.)?encoder\.")
"""With and without the head that writes text, transformers names the encoder differently."""
_HEAD_WIDTH = 64
"""Width of an attention head in every Whisper."""
_FLOATS = {0: torch.float32, 4: torch.float16}
"""CTranslate2 type numbers that hold unquantised weights."""
_PARTS = {
    "self_attention/layer_norm/gamma": "self_attn_layer_norm.weight",
    "self_attention/layer_norm/beta": "self_attn_layer_norm.bias",
    "self_attention/linear_1/weight": "self_attn.out_proj.weight",
    "self_attention/linear_1/bias": "self_attn.out_proj.bias",
    "ffn/layer_norm/gamma": "final_layer_norm.weight",
    "ffn/layer_norm/beta": "final_layer_norm.bias",
    "ffn/linear_0/weight": "fc1.weight",
    "ffn/linear_0/bias": "fc1.bias",
    "ffn/linear_1/weight": "fc2.weight",
    "ffn/linear_1/bias": "fc2.bias",
}
_WHOLE = {
    "encoder/conv1/weight": "conv1.weight",
    "encoder/conv1/bias": "conv1.bias",
    "encoder/conv2/weight": "conv2.weight",
    "encoder/conv2/bias": "conv2.bias",
    "encoder/position_encodings/encodings": "embed_positions.weight",
    "encoder/layer_norm/gamma": "layer_norm.weight",
    "encoder/layer_norm/beta": "layer_norm.bias",
}


class _Reader:
    """Little-endian values from bytes, in order."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def number(self, form: str) -> int:
        """One integer of a struct format."""
        (value,) = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(form)
        return int(value)

    def raw(self, size: int) -> bytes:
        """So many bytes; `ValueError` at the end of the file."""
        if self._at + size > len(self._content):
            raise ValueError(f"needs {size} bytes at {self._at}, has {len(self._content)}")
        self._at += size
        return self._content[self._at - size : self._at]

    def name(self) -> str:
        """Length-prefixed text with a trailing NUL."""
        return self.raw(self.number("H")).rstrip(b"\0").decode()


def read_ctranslate2(path: Path) -> dict[str, Tensor]:
    """All float tensors of a CTranslate2 Whisper model.bin, as float32."""
    reader = _Reader(path.read_bytes())
    try:
        reader.number("I")
        if (spec := reader.name()) != "WhisperSpec":
            raise ValueError(f"holds a {spec}, must be a WhisperSpec")
        reader.number("I")
        return dict(filter(None, (_tensor(reader) for _ in range(reader.number("I")))))
    except (ValueError, struct.error) as error:
        raise ValueError(f"{path} is not a CTranslate2 Whisper model: {error}") from error


def _tensor(reader: _Reader) -> tuple[str, Tensor] | None:
    name = reader.name()
    shape = [reader.number("I") for _ in range(reader.number("B"))]
    kind = reader.number("B")
    content = bytearray(reader.raw(reader.number("I")))
    if kind not in _FLOATS or not content:
        return None
    return name, torch.frombuffer(content, dtype=_FLOATS[kind]).reshape(shape).float()


def _from_ctranslate2(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    own = {_WHOLE[name]: value for name, value in tensors.items() if name in _WHOLE}
    for name, value in tensors.items():
        layer, _, part = name.removeprefix("encoder/layer_").partition("/")
        if not name.startswith("encoder/layer_") or not layer.isdigit():
            continue
        if part in _PARTS:
            own[f"layers.{layer}.{_PARTS[part]}"] = value
        elif part.startswith("self_attention/linear_0/"):
            kind = part.rpartition("/")[2]
            for projection, piece in zip("qkv", value.chunk(3), strict=True):
                own[f"layers.{layer}.self_attn.{projection}_proj.{kind}"] = piece
    return {name: value for name, value in own.items() if not name.endswith("k_proj.bias")}


def read_whisper_encoder(folder: Path) -> dict[str, Tensor]:
    """Encoder weights in float32 of a folder with a model.bin or safetensors, whole or in shards.

    The former is CTranslate2's, the latter transformers'. `ValueError` names what is absent.
    """
    if (packed := folder / "model.bin").is_file():
        return _from_ctranslate2(read_ctranslate2(packed))
    return {k: v for file in _shards(folder) for k, v in _encoder_of(file).items()}


def _shards(folder: Path) -> list[Path]:
    """The safetensors files of a model; files of other precisions beside them are left out."""
    if (index := folder / f"{_WEIGHTS}.index.json").is_file():
        return [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    if not (whole := folder / _WEIGHTS).is_file():
        raise ValueError(f"{folder} has neither model.bin nor {_WEIGHTS}")
    return [whole]


def _encoder_of(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            names = {name: _PREFIX.match(name) for name in file.keys()}  # noqa: SIM118
            return {
                name[match.end() :]: file.get_tensor(name).float()
                for name, match in names.items()
                if match
            }
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not readable as safetensors: {error}") from error


def whisper_config(
    weights: dict[str, Tensor], layers: int, codes: int, lookahead_frames: int
) -> CodecConfig:
    """Shape of a causal codec as wide as a Whisper; `ValueError` if it has fewer layers."""
    for name in ("conv1.weight", "embed_positions.weight", "layers.0.fc1.weight"):
        if name not in weights:
            raise ValueError(f"the Whisper weights lack the encoder tensor {name}")
    theirs = len([name for name in weights if name.endswith("fc1.weight")])
    if not 1 <= layers <= theirs:
        raise ValueError(f"layers is {layers}, must be 1..{theirs}, which the start has")
    width, n_mels, _ = weights["conv1.weight"].shape
    if width % _HEAD_WIDTH:
        raise ValueError(f"the Whisper is {width} wide, must be a multiple of {_HEAD_WIDTH}")
    return CodecConfig(
        d_model=width,
        encoder_attention_heads=width // _HEAD_WIDTH,
        encoder_ffn_dim=len(weights["layers.0.fc1.weight"]),
        num_mel_bins=n_mels,
        max_source_positions=len(weights["embed_positions.weight"]),
        quantize_position=layers,
        quantize_vocab_size=codes,
        pooling_kernel_size=PUBLISHED_CODEC.pooling_kernel_size,
        encoder_causal_convolution=True,
        encoder_causal_attention=True,
        lookahead_frames=lookahead_frames,
    )


def start_from_whisper(config: CodecConfig, weights: dict[str, Tensor]) -> Encoder:
    """An encoder of `config` whose convolutions, positions and layers are Whisper's.

    Raises `ValueError` naming a tensor that is absent or of another shape; layers of Whisper
    past `config.quantize_position` are left out.
    """
    encoder = Encoder(config)
    own = ("codebook.weight", "embed_positions2.weight")
    with torch.no_grad():
        for name, weight in encoder.state_dict().items():
            if name in own:
                continue
            if name not in weights:
                raise ValueError(f"the Whisper weights lack the encoder tensor {name}")
            if (found := tuple(weights[name].shape)) != tuple(weight.shape):
                raise ValueError(f"{name} has shape {found}, must be {tuple(weight.shape)}")
            weight.copy_(weights[name])
    return encoder
