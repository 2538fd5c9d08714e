"""Folders of safetensors: checked by their headers, mapped, read, written whole or in shards.

Nothing is unpickled, and no tensor is read before every name and shape fits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from moss_speech.storage import read_json, write_json

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class TensorFolder:
    """The tensors of a folder by name: where each lies and its shape, without its values."""

    folder: Path
    files: dict[str, Path]
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def open(cls, folder: Path) -> "TensorFolder":
        """Read the headers of one file or of all shards.

        Raises `ValueError` for a pickle, a missing or truncated file, or an index that is wrong.
        """
        files: dict[str, Path] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        weight_map = _weight_map(folder)
        for path in _files_of(folder, weight_map):
            for name, shape in _header(path).items():
                if name in files:
                    raise ValueError(f"{name} lies in {files[name]} and in {path}")
                files[name], shapes[name] = path, shape
        for name, file in weight_map.items():
            if files.get(name) != folder / file:
                raise ValueError(f"{folder / file} lacks {name!r}, which {INDEX} puts there")
        return cls(folder, files, shapes)

    def check(self, expected: Mapping[str, Tensor]) -> None:
        """Raise `ValueError` naming a tensor that is missing, too many or misshapen."""
        if missing := sorted(expected.keys() - self.shapes.keys()):
            raise ValueError(f"{self.folder} lacks {len(missing)} tensors, first {missing[0]!r}")
        if extra := sorted(self.shapes.keys() - expected.keys()):
            raise ValueError(f"{self.folder} has {len(extra)} tensors too many, first {extra[0]!r}")
        for name, want in expected.items():
            if (have := self.shapes[name]) != tuple(want.shape):
                raise ValueError(
                    f"{self.folder}: {name} has shape {list(have)}, must be {list(want.shape)}"
                )

    def read(self) -> dict[str, Tensor]:
        """Copy every tensor out of its mapped file; `ValueError` names one that is not finite."""
        tensors: dict[str, Tensor] = {}
        for path in sorted(set(self.files.values())):
            with safe_open(path, framework="pt") as stream:
                for name in stream.keys():  # noqa: SIM118
                    # a copy lies aligned, which fast kernels and equal bits need
                    tensors[name] = _finite(stream.get_tensor(name).clone(), name, path)
        return tensors


def write_tensors(
    tensors: Mapping[str, Tensor],
    folder: Path,
    max_shard_bytes: int,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write one file, or shards of at most `max_shard_bytes` and their index.

    Every file carries all of `metadata`.
    """
    header = {"format": "pt", **(metadata or {})}
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    plan = split_torch_state_dict_into_shards(whole, max_shard_size=max_shard_bytes)
    for file, names in plan.filename_to_tensors.items():
        save_file({name: whole[name] for name in names}, folder / file, metadata=header)
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        write_json(folder / INDEX, index)


def type_name(dtype: torch.dtype) -> str:
    """A type as files name it, such as `bfloat16`."""
    return str(dtype).removeprefix("torch.")


def _weight_map(folder: Path) -> dict[str, str]:
    """Tensor to file as the index says; empty where there is none."""
    if not (folder / INDEX).is_file():
        return {}
    index = read_json(folder / INDEX)
    if not isinstance(index, dict) or not isinstance(index.get("weight_map"), dict):
        raise ValueError(f"{folder / INDEX} holds no weight_map")
    weight_map: dict[str, str] = index["weight_map"]
    for file in weight_map.values():
        if Path(file).name != file:
            raise ValueError(f"{folder / INDEX} names {file!r}, must be a file of its own folder")
    return weight_map


def _files_of(folder: Path, weight_map: dict[str, str]) -> list[Path]:
    if weight_map:
        return [folder / name for name in sorted(set(weight_map.values()))]
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ValueError(
            f"{folder} holds {pickles[0]}, which may be a pickle and is never opened; "
            f"convert it to {SINGLE}"
        )
    raise ValueError(f"{folder} holds neither {SINGLE} nor {INDEX}")


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(path, framework="pt") as stream:
            return {
                name: tuple(stream.get_slice(name).get_shape())
                for name in stream.keys()  # noqa: SIM118
            }
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no whole safetensors file: {error}") from error


def _finite(tensor: Tensor, name: str, path: Path) -> Tensor:
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{path}: {name} holds NaN or infinite values")
    return tensor
