"""Decoder and vocoder folders: config.json and model.safetensors under the published names."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from moss_speech.decoder.config import (
    FlowConfig,
    HiftConfig,
    VocosConfig,
    read_flow_config,
    read_vocoder_config,
    write_config,
)
from moss_speech.decoder.flow.network import FlowNetwork
from moss_speech.decoder.model import SpeechDecoder
from moss_speech.decoder.vocoder.base import Vocoder
from moss_speech.decoder.vocoder.hift import HiFT
from moss_speech.decoder.vocoder.vocos import Vocos
from moss_speech.storage import copy_files

Config = FlowConfig | VocosConfig | HiftConfig
N = TypeVar("N", bound=nn.Module)

WEIGHTS = "model.safetensors"
CAMPPLUS = "campplus.onnx"
"""The released speaker encoder, in the folder of a decoder that is given its vectors."""


def load_speech_decoder(decoder_folder: Path, vocoder_folder: Path) -> SpeechDecoder:
    """Open a flow network and a vocoder; `ValueError` for what is missing or does not fit."""
    return SpeechDecoder(load_flow(decoder_folder), load_vocoder(vocoder_folder))


def load_flow(folder: Path) -> FlowNetwork:
    """Open a decoder folder."""
    config = read_flow_config(folder)
    return _loaded(lambda: FlowNetwork(config), folder).eval()


def load_vocoder(folder: Path) -> Vocoder:
    """Open a vocoder folder."""
    config = read_vocoder_config(folder)
    return _loaded(lambda: new_vocoder(config), folder).eval()


def new_vocoder(config: VocosConfig | HiftConfig) -> Vocoder:
    """An untrained vocoder of the kind that the config names."""
    return Vocos(config) if isinstance(config, VocosConfig) else HiFT(config)


def speaker_file(folder: Path) -> Path | None:
    """The speaker encoder's file of a decoder folder, if it has one."""
    file = folder / CAMPPLUS
    return file if file.is_file() else None


def begin_flow(config: FlowConfig, start: str | None) -> FlowNetwork:
    """A flow network to train: new, or that of a decoder folder, for the codes of `config`.

    Raises `ValueError` if the folder's tensors are not those that `config` asks for.
    """
    if start is None:
        return FlowNetwork(config)
    return _loaded(lambda: FlowNetwork(config), Path(start))


def begin_vocoder(config: VocosConfig | HiftConfig, start: str | None) -> Vocoder:
    """A vocoder to train: new, or that of a vocoder folder, with the same refusal."""
    return (
        new_vocoder(config) if start is None else _loaded(lambda: new_vocoder(config), Path(start))
    )


def keep_flow(config: FlowConfig, folder: Path, out: Path) -> None:
    """Copy a decoder folder as it is; `ValueError` unless it is what `config` says."""
    _keep(config, load_flow(folder).config, folder, out)


def keep_vocoder(config: VocosConfig | HiftConfig, folder: Path, out: Path) -> None:
    """Copy a vocoder folder as it is; `ValueError` unless it is what `config` says."""
    _keep(config, load_vocoder(folder).config, folder, out)


def _keep(wanted: Config, found: Config, folder: Path, out: Path) -> None:
    ours, theirs = wanted.model_dump(), found.model_dump()
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"{name} is {ours.get(name)!r}, must be {theirs.get(name)!r} to keep {folder}"
            )
    copy_files(folder, out)


def save_network(network: FlowNetwork | Vocoder, folder: Path) -> None:
    """Write config and weights into a folder that exists."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    write_config(folder, network.config)


def _loaded(new: Callable[[], N], folder: Path) -> N:
    """A network with a folder's weights; they are checked before it takes any memory."""
    tensors, path = _read(folder / WEIGHTS), str(folder / WEIGHTS)
    with torch.device("meta"):
        check_tensors({n: tuple(t.shape) for n, t in tensors.items()}, new(), path)
    network = new()
    network.load_state_dict(tensors)
    return network


def _read(path: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is missing or damaged: {error}") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} holds NaN or infinite values")
    return tensors


def check_tensors(shapes: dict[str, tuple[int, ...]], network: nn.Module, where: str) -> None:
    """Raise `ValueError` at the first tensor that is missing, unknown or of another shape."""
    wanted = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    for name in sorted(wanted.keys() | shapes.keys()):
        if name not in shapes:
            raise ValueError(f"{where} has no tensor {name} (shape {wanted[name]})")
        if name not in wanted:
            raise ValueError(f"{where} has a tensor {name} that the config does not ask for")
        if wanted[name] != shapes[name]:
            raise ValueError(
                f"{where}: {name} has shape {shapes[name]}, must be {wanted[name]} by the config"
            )


def on_meta_device(config: FlowConfig) -> FlowNetwork:
    """The network without memory, to check shapes and count parameters."""
    with torch.device("meta"):
        return FlowNetwork(config)
