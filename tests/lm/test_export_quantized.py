"""Quantised exports: read by this code and by transformers, compared with their source."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from moss_speech.lm.checkpoint import Dtype
from moss_speech.lm.export import LAYOUTS, Layout, export_lm
from moss_speech.lm.load import load_lm, load_qwen3
from moss_speech.lm.quantize import Scheme, quantize, scheme_of
from moss_speech.lm.sampling import Sampling
from moss_speech.lm.stream import generate
from moss_speech.lm.verify import compare
from tests.lm.small import random_rows, small_checkpoint

INT8, INT4 = Scheme("int8"), Scheme("int4", 32)
SAMPLING = Sampling(temperature=0.8, top_k=20, top_p=0.95, repetition_penalty=1.1)
SCALE = "text_lm_head._weight_scale"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    small_checkpoint(tmp_path / "source", 3)
    return tmp_path / "source"


@pytest.fixture
def exported(source: Path, tmp_path: Path) -> Path:
    export_lm(source, tmp_path / "out", "released", scheme=INT8)
    return tmp_path / "out"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("scheme", "most"), [(INT8, 0.06), (INT4, 0.6)])
@pytest.mark.parametrize("shard_bytes", [50_000, 10**9])
def test_quantised_export_is_within_half_a_step_and_its_change_is_stated(
    tmp_path: Path, layout: Layout, dtype: Dtype, scheme: Scheme, most: float, shard_bytes: int
) -> None:
    small_checkpoint(tmp_path / "source", 3, dtype)
    export_lm(tmp_path / "source", tmp_path / "out", layout, shard_bytes, scheme)
    found = compare(tmp_path / "out", tmp_path / "source")
    assert found.right and (found.layout, found.weights) == (layout, scheme.bits)
    assert 0 < found.mean_change < found.largest_change < most * found.largest_logit
    assert 0.2 < found.same_choice <= 1.0


def test_int8_folder_opens_like_any_other_and_generates(source: Path, exported: Path) -> None:
    model, made = load_lm(exported), quantize(load_lm(source), INT8)
    assert scheme_of(model) == INT8
    assert all(torch.equal(w, made.state_dict()[n]) for n, w in model.state_dict().items())
    prompt_TC = random_rows(model.config, 9, 2).numpy()
    replies = [generate(m, [prompt_TC], SAMPLING, [1], 12)[0] for m in (model, made)]
    assert replies[0].rows_TC.tolist() == replies[1].rows_TC.tolist()


def test_quantised_weights_are_a_fraction_of_the_size(source: Path, tmp_path: Path) -> None:
    def linear_bytes(folder: Path) -> int:
        tensors = load_file(folder / "model.safetensors")
        return sum(t.nbytes for n, t in tensors.items() if "proj" in n or "head" in n)

    whole = linear_bytes(source)
    for scheme, most in ((INT8, 0.27), (INT4, 0.16)):
        out = tmp_path / scheme.bits
        export_lm(source, out, "released", scheme=scheme)
        assert linear_bytes(out) < most * whole


def test_transformers_opens_an_int8_export_and_says_what_ours_says(
    source: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torchao")
    export_lm(source, tmp_path / "out", "qwen3", 100_000, INT8)
    theirs, info = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(info.values())
    assert type(theirs.lm_head.weight).__name__ == "Int8Tensor"
    model = load_lm(source)
    ids_BT = torch.arange(5, 45)[None]
    ours, want = quantize(model, INT8).text_logits(ids_BT), model.text_logits(ids_BT)
    assert (theirs(ids_BT).logits - ours).abs().max() < 0.03 * want.abs().max()
    assert (theirs(ids_BT).logits - want).abs().max() < 0.03 * want.abs().max()


def test_transformers_reads_every_value_of_an_int4_export(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    export_lm(source, tmp_path / "out", "qwen3", scheme=INT4)
    theirs, info = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(info.values())
    layers = quantize(load_lm(source), INT4)
    pairs = [
        (theirs.lm_head.weight, layers.head("text")),
        (theirs.model.layers[4].mlp.up_proj.weight, layers.model.text_block.layers[1].mlp.up_proj),
    ]
    for weight, layer in pairs:
        assert type(weight).__name__ == "Int4Tensor" and tuple(weight.block_size) == (1, 32)
        for part in ("qdata", "scale", "zero_point"):
            assert torch.equal(getattr(weight, part), layer.get_parameter(f"_weight_{part}"))


def test_torchao_quantises_to_the_same_values_up_to_the_rounding_of_the_scale(source: Path) -> None:
    torchao = pytest.importorskip("torchao.quantization")
    weight_NK = load_lm(source).text_lm_head.weight.detach()
    theirs = torchao.Int8Tensor.from_hp(weight_NK, granularity=torchao.PerRow())
    layer = quantize(load_lm(source), INT8).head("text")
    ratio_N1 = layer.get_parameter("_weight_scale") / theirs.scale
    assert ((ratio_N1 > 127.5 / 127 - 1e-6) & (ratio_N1 < 127.5 / 127 * (1 + 2**-7))).all()
    assert int((layer.get_parameter("_weight_qdata") - theirs.qdata).abs().max()) <= 2


@pytest.mark.parametrize(
    ("value", "named"), [(0.0, "_weight_scale has 0.0"), (-1.0, "has -1.0"), (torch.nan, "NaN")]
)
def test_corrupted_scale_is_refused(exported: Path, value: float, named: str) -> None:
    path = exported / "model.safetensors"
    tensors = load_file(path)
    tensors[SCALE][3] = value
    save_file(tensors, path)
    with pytest.raises(ValueError, match=named):
        load_lm(exported)


def test_scale_or_value_that_is_not_the_sources_is_found(source: Path, exported: Path) -> None:
    path = exported / "model.safetensors"
    tensors = load_file(path)
    tensors[SCALE][3] *= 1.02
    tensors["model.shared_block.layers.0.mlp.up_proj._weight_qdata"][0, 0] += 1
    tensors["model.text_norm.weight"][0] += 0.5
    save_file(tensors, path)
    found = compare(exported, source)
    assert found.changed_tensors == 3 and not found.right


def test_values_of_another_type_and_foreign_schemes_are_refused(exported: Path) -> None:
    path, name = exported / "model.safetensors", "text_lm_head._weight_qdata"
    tensors = load_file(path)
    save_file(tensors | {name: tensors[name].float()}, path)
    with pytest.raises(ValueError, match=rf"{name} is torch.float32, must be torch.int8"):
        load_lm(exported)
    config = json.loads((exported / "config.json").read_text())
    config["quantization_config"]["quant_method"] = "gptq"
    (exported / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"quantization_config is .*gptq"):
        load_lm(exported)


def test_quantised_text_model_is_no_backbone(source: Path, tmp_path: Path) -> None:
    export_lm(source, tmp_path / "out", "qwen3", scheme=INT8)
    ids = load_lm(source).config.ids
    with pytest.raises(ValueError, match="holds int8 weights"):
        load_qwen3(tmp_path / "out", 1, 512, ids)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folder_of_other_sizes_is_refused_by_name(
    source: Path, tmp_path: Path, layout: Layout
) -> None:
    export_lm(source, tmp_path / "out", layout)
    path = tmp_path / "out" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 96}))
    with pytest.raises(ValueError, match="intermediate_size is 96, the model's is 160"):
        compare(tmp_path / "out", source)
