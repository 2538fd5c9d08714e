"""Released decoder checkpoints (`.pt`) to our folders: read as tensors alone, checked, written.

A `.pt` file is a pickle, which may hold programs. It is read once, with nothing but tensors and
plain values allowed, and kept as safetensors from then on.
"""

import pickle
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from moss_speech.decoder.config import FlowConfig, HiftConfig, VocosConfig, write_config
from moss_speech.decoder.load import WEIGHTS, check_tensors, new_vocoder, on_meta_device
from moss_speech.params.base import Params
from moss_speech.params.decoder import FlowShape, HiftShape

RELEASED_CHUNKS = {"flow": 0, "flow-chunk-5": 5, "flow-chunk-25": 25}
"""Chunk in codes that each released flow file was trained with; 0 sees all."""
TRAINING_STATE = ("epoch", "step")
"""Entries of the chunk-trained files that are no tensors of the network."""


class Shapes(Params):
    """Sizes of the networks of a released codec folder."""

    flow: FlowShape
    """Its `chunk_codes` gives way to that of the file's name."""
    hift: HiftShape


PUBLISHED_SHAPES = Shapes(
    flow=FlowShape(
        embedding_rows=20480,
        width=512,
        n_heads=8,
        ffn_width=2048,
        n_layers=6,
        n_up_layers=4,
        lookahead_codes=3,
        speaker="given",
        speaker_width=192,
        channels=256,
        attention_heads=8,
        head_width=64,
        n_mid_blocks=12,
        n_transformers=4,
        chunk_codes=5,
        context_codes=25,
        voice_codes=100,
        cache="fp32",
        steps=10,
        guidance=0.7,
        noise_scale=1.0,
        noise_frames=15000,
    ),
    hift=HiftShape(
        kind="hift",
        channels=512,
        upsample_rates=[8, 5, 3],
        upsample_kernels=[16, 11, 7],
        n_fft=16,
        resblock_kernels=[3, 7, 11],
        source_kernels=[7, 7, 11],
        dilations=[1, 3, 5],
        n_harmonics=8,
        f0_channels=512,
        lookahead_frames=None,
    ),
)
"""The released networks; presets/paper.yaml has the same numbers."""


def convert_flow(path: Path, config: FlowConfig, out: Path) -> None:
    """Write a released flow file as a decoder folder; `out` exists.

    Raises `ValueError` for a file that is damaged or holds more than tensors, and for the first
    tensor that is missing, unknown or of another shape.
    """
    tensors = _read(path, TRAINING_STATE)
    check_tensors(_shapes(tensors), on_meta_device(config), str(path))
    _write(tensors, config, out)


def convert_vocoder(path: Path, config: VocosConfig | HiftConfig, out: Path) -> None:
    """Write a released vocoder file as a vocoder folder, with the same refusals."""
    tensors = _read(path, ())
    with torch.device("meta"):
        network = new_vocoder(config)
    check_tensors(_shapes(tensors), network, str(path))
    _write(tensors, config, out)


def _read(path: Path, dropped: tuple[str, ...]) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{path} is missing, damaged or holds more than tensors: {reason}"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, must hold tensors by name")
    tensors = {name: value for name, value in content.items() if name not in dropped}
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"{path}: {name} is a {type(value).__name__}, must be a tensor")
        if not value.is_floating_point():
            raise ValueError(f"{path}: {name} is of {value.dtype}, must be of floats")
    return tensors


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _write(
    tensors: dict[str, Tensor], config: FlowConfig | VocosConfig | HiftConfig, out: Path
) -> None:
    own = {
        name: value.float().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    save_file(own, out / WEIGHTS)
    write_config(out, config)
