"""Bundles that somebody changed on purpose, seal and all."""

import math
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from moss_speech.card import CARD, files_of
from moss_speech.storage import file_digest, read_json, write_json

Change = Callable[[Tensor], Tensor]


def seal(bundle: Path) -> None:
    """Make the card say what the files are."""
    files = {
        name: {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for name, path in files_of(bundle).items()
    }
    write_json(bundle / CARD, read_json(bundle / CARD) | {"files": files})


def change_first_tensor(bundle: Path, name: str, change: Change) -> str:
    """Change the first tensor of a file, seal the bundle, return the tensor's name."""
    tensors = load_file(bundle / name)
    first = sorted(tensors)[0]
    tensors[first] = change(tensors[first].clone())
    save_file(tensors, bundle / name, {"format": "pt"})
    seal(bundle)
    return first


def with_nan(tensor: Tensor) -> Tensor:
    """The tensor with one value that is not a number."""
    tensor.view(-1)[0] = math.nan
    return tensor


def wider(tensor: Tensor) -> Tensor:
    """The tensor twice over."""
    return tensor.repeat(2, *[1] * (tensor.ndim - 1))
