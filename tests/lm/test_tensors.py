"""Folders of safetensors: headers first, nothing unpickled, shards that fit their index."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.lm.tensors import INDEX, SINGLE, TensorFolder, write_tensors

SHAPES = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), min_size=1, max_size=6)


def some(shapes: list[list[int]], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        f"layer.{n}.weight": torch.randn(shape, generator=draw).to(dtype)
        for n, shape in enumerate(shapes)
    }


@given(SHAPES, st.integers(8, 300), st.sampled_from([torch.float32, torch.bfloat16]))
def test_any_tensors_survive_any_shard_size(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: list[list[int]],
    shard_bytes: int,
    dtype: torch.dtype,
) -> None:
    folder, tensors = tmp_path_factory.mktemp("folder"), some(shapes, dtype)
    write_tensors(tensors, folder, shard_bytes)
    found = TensorFolder.open(folder)
    found.check(tensors)
    back = found.read()
    assert back.keys() == tensors.keys()
    assert all(back[n].dtype == dtype and torch.equal(back[n], t) for n, t in tensors.items())


def sharded(folder: Path) -> dict[str, torch.Tensor]:
    tensors = some([[4, 4], [4, 4], [4, 4]], torch.float32)
    write_tensors(tensors, folder, 64)
    assert len(list(folder.glob("*.safetensors"))) == 3
    return tensors


def test_shape_is_refused_before_a_value_is_read(tmp_path: Path) -> None:
    tensors = some([[2, 3]], torch.float32) | {"bad.weight": torch.full((2,), torch.nan)}
    write_tensors(tensors, tmp_path, 10**6)
    found = TensorFolder.open(tmp_path)
    with pytest.raises(ValueError, match=r"bad\.weight has shape \[2\], must be \[3\]"):
        found.check(tensors | {"bad.weight": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"bad\.weight holds NaN"):
        found.read()


def test_missing_and_truncated_shards_are_refused_by_name(tmp_path: Path) -> None:
    sharded(tmp_path)
    second = sorted(tmp_path.glob("*.safetensors"))[1]
    whole = second.read_bytes()
    second.write_bytes(whole[:-7])
    with pytest.raises(ValueError, match=f"{second.name} is no whole safetensors file"):
        TensorFolder.open(tmp_path)
    second.unlink()
    with pytest.raises(ValueError, match=second.name):
        TensorFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        (None, "holds no weight_map"),
        ({"layer.9.weight": SINGLE}, r"lacks 'layer\.9\.weight', which"),
        ({"layer.0.weight": "../model.safetensors"}, "must be a file of its own folder"),
    ],
)
def test_wrong_index_is_refused(
    tmp_path: Path, weight_map: dict[str, str] | None, message: str
) -> None:
    write_tensors(some([[2]], torch.float32), tmp_path, 10**6)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ValueError, match=message):
        TensorFolder.open(tmp_path)


def test_pickle_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"holds pytorch_model\.bin, which may be a pickle"):
        TensorFolder.open(tmp_path)
