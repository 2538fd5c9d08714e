"""Exported models: opened by this code and by transformers, equal to their source bit for bit."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3ForCausalLM

from moss_speech.lm.checkpoint import Dtype
from moss_speech.lm.config import read_config
from moss_speech.lm.export import LAYOUTS, Layout, export_lm
from moss_speech.lm.load import load_lm
from moss_speech.lm.tokenizer import load_tokenizer
from moss_speech.lm.verify import compare
from tests.lm.small import small_checkpoint


@pytest.fixture
def source(tmp_path: Path) -> Path:
    small_checkpoint(tmp_path / "source", max_shard_bytes=100_000)
    return tmp_path / "source"


def test_equal_arguments_make_equal_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        small_checkpoint(tmp_path / name, seed)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shard_bytes", [50_000, 10**9])
def test_every_tensor_and_logit_of_an_export_is_the_sources(
    tmp_path: Path, layout: Layout, dtype: Dtype, shard_bytes: int
) -> None:
    small_checkpoint(tmp_path / "source", 3, dtype)
    export_lm(tmp_path / "source", tmp_path / "out", layout, shard_bytes)
    found = compare(tmp_path / "out", tmp_path / "source")
    assert found.layout == layout
    config = read_config(tmp_path / "source")
    n_logits = config.vocab_size + (config.audio_vocab_size if layout == "released" else 0)
    assert found.logits == 4 * 64 * n_logits
    assert found.right and found.largest_logit > 0.1


def test_released_tensors_are_written_back_byte_for_byte(source: Path, tmp_path: Path) -> None:
    export_lm(source, tmp_path / "out", "released", 100_000)
    shards = sorted(p.name for p in source.glob("*.safetensors"))
    assert len(shards) > 1
    for name in (*shards, "config.json", "tokenizer.json", "model.safetensors.index.json"):
        assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()


def test_qwen3_export_is_what_a_user_of_transformers_expects(source: Path, tmp_path: Path) -> None:
    export_lm(source, tmp_path / "out", "qwen3")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert isinstance(model, Qwen3ForCausalLM)
    text = "You are a helpful assistant. a < b"
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")(text)["input_ids"]
    assert ids == load_tokenizer(source).encode(text)
    logits = load_lm(source).text_logits(torch.tensor([ids]))
    assert torch.equal(model(torch.tensor([ids])).logits, logits)


def test_one_changed_weight_is_found(source: Path, tmp_path: Path) -> None:
    export_lm(source, tmp_path / "out", "released")
    path = tmp_path / "out" / "model.safetensors"
    tensors = load_file(path)
    tensors["model.audio_block.layers.0.mlp.up_proj.weight"][0, 0] += 1
    save_file(tensors, path)
    found = compare(tmp_path / "out", source)
    assert found.changed_tensors == 1 and found.largest_change > 0 and not found.right


def test_folder_that_holds_something_is_never_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="out is not empty"):
        export_lm(source, tmp_path / "out", "released")
    with pytest.raises(ValueError, match="out is not empty"):
        small_checkpoint(tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_source_that_cannot_be_opened_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"vocab_size": 999}))
    with pytest.raises(ValueError, match=r"embed_tokens\.weight has shape"):
        export_lm(source, tmp_path / "out", "released")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]
