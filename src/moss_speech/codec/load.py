"""A codec folder, read and written: the published files and our CTC read-out beside them."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from moss_speech.codec.config import CodecConfig
from moss_speech.codec.encoder import Encoder
from moss_speech.codec.model import Codec
from moss_speech.codec.readout import Alphabet, CtcReadout
from moss_speech.storage import file_digest, write_json

WEIGHTS = "model.safetensors"
READOUT = "readout.safetensors"
_PREFIX = "encoder."
_TRAINING_STATE = ("encoder.ema_count", "encoder.ema_weight")
"""Left in the published file by its training; not needed."""


def load_codec(folder: Path) -> Codec:
    """Read a codec, ours or the published one.

    Raises `ValueError` naming a file that is absent or damaged, or a tensor that is absent,
    unknown, of another shape or not finite.
    """
    for name in ("config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}: it is no codec folder")
    with torch.device("meta"):
        encoder = Encoder(CodecConfig.read(folder / "config.json"))
    tensors, _ = _read(folder / WEIGHTS)
    own = {
        name.removeprefix(_PREFIX): value
        for name, value in tensors.items()
        if name.startswith(_PREFIX) and name not in _TRAINING_STATE
    }
    _fill(encoder, own, folder / WEIGHTS)
    readout = _load_readout(folder / READOUT) if (folder / READOUT).is_file() else None
    return Codec(encoder.eval(), readout, file_digest(folder / WEIGHTS))


def save_codec(folder: Path, encoder: Encoder, readout: CtcReadout | None) -> None:
    """Write a codec into an existing folder; equal weights give equal bytes."""
    config = encoder.config
    write_json(folder / "config.json", config.to_json())
    write_json(folder / "preprocessor_config.json", _preprocessor(config))
    tensors = {f"{_PREFIX}{name}": w.contiguous() for name, w in encoder.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    if readout is not None:
        save_file(
            {name: w.contiguous() for name, w in readout.state_dict().items()},
            folder / READOUT,
            {"alphabet": readout.alphabet.characters},
        )


def _load_readout(path: Path) -> CtcReadout:
    tensors, header = _read(path)
    if "alphabet" not in header or "near.weight" not in tensors:
        raise ValueError(f"{path} is no CTC read-out: it lacks alphabet or near.weight")
    width, n_inputs, _ = tensors["near.weight"].shape
    with torch.device("meta"):
        readout = CtcReadout(n_inputs, width, Alphabet(header["alphabet"]))
    _fill(readout, tensors, path)
    return readout.eval()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not readable as safetensors: {error}") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} holds NaN or infinite values")
    return tensors, header


def _fill(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put tensors in the place of a module's meta weights; names and shapes must be equal."""
    wanted = {name: tuple(w.shape) for name, w in module.state_dict().items()}
    if missing := sorted(wanted.keys() - tensors.keys()):
        raise ValueError(f"{path} lacks {len(missing)} tensors, the first is {missing[0]}")
    if unknown := sorted(tensors.keys() - wanted.keys()):
        raise ValueError(f"{path} has {len(unknown)} unknown tensors, the first is {unknown[0]}")
    for name, shape in wanted.items():
        if (found := tuple(tensors[name].shape)) != shape:
            raise ValueError(f"{path}: {name} has shape {found}, must be {shape}")
    module.load_state_dict(tensors, strict=True, assign=True)
    for name, weight in module.named_parameters():
        weight.requires_grad_(False)
        assert not weight.is_meta, name


def _preprocessor(config: CodecConfig) -> dict[str, Any]:
    form = config.audio_format
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": form.n_mels,
        "sampling_rate": form.sample_rate_hz,
        "hop_length": form.hop_samples,
        "n_fft": form.window_samples,
        "chunk_length": config.segment_samples // form.sample_rate_hz,
        "n_samples": config.segment_samples,
        "nb_max_frames": config.segment_samples // form.hop_samples,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }
