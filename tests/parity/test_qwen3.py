"""The text path against Qwen3ForCausalLM of transformers, through the real loader."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3Config, Qwen3ForCausalLM

from moss_speech.lm.load import load_qwen3
from moss_speech.vocab import SpecialIds

IDS = SpecialIds(pad=1, im_start=2, im_end=3, sosp=4, modality_pad=5, eosp=20, audio_pad=21)


def qwen3(folder: Path, n_kv_heads: int, tied: bool, shard: str = "1GB") -> Qwen3ForCausalLM:
    torch.manual_seed(n_kv_heads)
    config = Qwen3Config(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=n_kv_heads,
        head_dim=14,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=tied,
        max_position_embeddings=600,
        initializer_range=0.3,
    )
    model = Qwen3ForCausalLM(config).eval()
    model.save_pretrained(folder, max_shard_size=shard)
    return model


def ids(n_rows: int) -> torch.Tensor:
    return torch.randint(6, 97, (2, n_rows), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n_tail_layers", [0, 2, 5])
def test_text_path_equals_transformers_bit_for_bit(
    n_kv_heads: int, tied: bool, n_tail_layers: int, tmp_path: Path
) -> None:
    theirs = qwen3(tmp_path, n_kv_heads, tied)
    ours = load_qwen3(tmp_path, n_tail_layers, n_codes=20, ids=IDS)
    ids_BT = ids(17)
    assert torch.equal(ours.text_logits(ids_BT), theirs(ids_BT).logits)


def test_long_text_equals_transformers_bit_for_bit_from_shards(tmp_path: Path) -> None:
    theirs = qwen3(tmp_path, 2, tied=False, shard="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ours = load_qwen3(tmp_path, 2, n_codes=20, ids=IDS)
    ids_BT = ids(500)
    assert torch.equal(ours.text_logits(ids_BT), theirs(ids_BT).logits)


def test_bf16_text_path_equals_transformers_bit_for_bit(tmp_path: Path) -> None:
    qwen3(tmp_path, 2, tied=False)
    theirs = Qwen3ForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    ours = load_qwen3(tmp_path, 2, n_codes=20, ids=IDS).to(torch.bfloat16)
    ids_BT = ids(33)
    assert torch.equal(ours.text_logits(ids_BT), theirs(ids_BT).logits)


def test_speech_tail_starts_as_the_text_tail(tmp_path: Path) -> None:
    qwen3(tmp_path, 2, tied=True)
    parts = load_qwen3(tmp_path, 2, n_codes=20, ids=IDS).model
    for (_, text), (_, audio) in zip(
        parts.text_block.named_parameters(), parts.audio_block.named_parameters(), strict=True
    ):
        assert torch.equal(text, audio) and text.data_ptr() != audio.data_ptr()


def test_split_deeper_than_the_model_is_refused(tmp_path: Path) -> None:
    qwen3(tmp_path, 2, tied=False)
    with pytest.raises(ValueError, match=r"n_tail_layers is 6, must be 0\.\.5"):
        load_qwen3(tmp_path, 6, n_codes=20, ids=IDS)


def test_untied_checkpoint_without_a_head_is_refused(tmp_path: Path) -> None:
    qwen3(tmp_path, 2, tied=False)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"lacks 1 tensors, first 'lm_head\.weight'"):
        load_qwen3(tmp_path, 2, n_codes=20, ids=IDS)


def test_import_keeps_the_type_of_the_weights(tmp_path: Path) -> None:
    qwen3(tmp_path, 2, tied=False).to(torch.bfloat16).save_pretrained(tmp_path)
    ours = load_qwen3(tmp_path, 2, n_codes=20, ids=IDS)
    assert {w.dtype for w in ours.parameters()} == {torch.bfloat16}


@torch.inference_mode()
def test_speech_path_starts_as_the_text_path_at_every_layer(tmp_path: Path) -> None:
    qwen3(tmp_path, 2, tied=False)
    model = load_qwen3(tmp_path, 3, n_codes=20, ids=IDS)
    seen: dict[str, list[torch.Tensor]] = {"text": [], "audio": []}
    for channel, block in (("text", model.model.text_block), ("audio", model.model.audio_block)):
        for layer in block.layers:
            layer.register_forward_hook(lambda *out, to=seen[channel]: to.append(out[2]))
    grid_BTC = torch.stack((ids(19), torch.full((2, 19), 21)), -1)
    place = model.place(grid_BTC)
    x_BTD = model.trunk(grid_BTC, place)
    assert torch.equal(model.tail(x_BTD, "text", place), model.tail(x_BTD, "audio", place))
    assert len(seen["text"]) == 3
    for text, audio in zip(seen["text"], seen["audio"], strict=True):
        assert torch.equal(text, audio)
