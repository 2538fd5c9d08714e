"""Model folders: written and read whole, refused by name when they are not."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from moss_speech.lm.load import load_lm, save_lm
from moss_speech.lm.tokenizer import load_tokenizer
from tests.lm.small import small_model, small_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_lm(small_model(), tmp_path, small_tokenizer())
    return tmp_path


def test_what_was_read_is_written_back_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    save_lm(load_lm(folder), again, load_tokenizer(folder))
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_sharded_folder_gives_the_same_model(folder: Path) -> None:
    whole, tensors = load_lm(folder), load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for part, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / part)
    weight_map = {name: part for part, held in parts.items() for name in held}
    index = {"weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    sharded = load_lm(folder)
    assert all(torch.equal(w, sharded.state_dict()[n]) for n, w in whole.state_dict().items())


@pytest.mark.parametrize("damage", ["missing", "extra", "shape", "nan", "truncated"])
def test_damaged_weights_are_refused_by_name(folder: Path, damage: str) -> None:
    path, name = folder / "model.safetensors", "model.text_norm.weight"
    tensors = load_file(path)
    match damage:
        case "missing":
            del tensors[name]
        case "extra":
            name = "model.extra.weight"
            tensors[name] = torch.zeros(2)
        case "shape":
            tensors[name] = torch.zeros(3)
        case "nan":
            tensors[name][0] = torch.nan
    save_file(tensors, path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
        name = "no whole safetensors file"
    with pytest.raises(ValueError, match=name):
        load_lm(folder)


def test_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        load_lm(tmp_path)
