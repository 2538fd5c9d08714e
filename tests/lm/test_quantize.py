"""Quantised layers: each weight within half a step, and the product that their weights give."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.lm.quantize import (
    Int4Linear,
    Int8Linear,
    Scheme,
    quantize,
    quantize_int8,
    quantized_layers,
    scheme_of,
)
from moss_speech.lm.sampling import Sampling
from moss_speech.lm.stream import generate
from tests.lm.small import random_rows, small_model

SAMPLING = Sampling(temperature=0.8, top_k=20, top_p=0.95, repetition_penalty=1.1)


def filled(layer: Int8Linear | Int4Linear, weight_NK: torch.Tensor) -> Int8Linear | Int4Linear:
    layer.load_state_dict(layer.parts_of(weight_NK))
    return layer


@given(
    seed=st.integers(0, 10**6),
    n_out=st.integers(1, 40),
    n_groups=st.integers(1, 3),
    offset=st.floats(-3, 3),
    exponent=st.integers(-12, 6),
)
@settings(max_examples=60)
def test_every_weight_lies_within_half_a_step(
    seed: int, n_out: int, n_groups: int, offset: float, exponent: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    shape = (n_out, 32 * n_groups)
    weight_NK = (torch.randn(shape, generator=draw) + offset) * 10.0**exponent
    weight_NK[0] = 0.0
    for layer in (Int8Linear(shape[1], n_out), Int4Linear(shape[1], n_out, 32)):
        filled(layer, weight_NK)
        error_NK = (layer.dequantize() - weight_NK).abs()
        assert (error_NK <= layer.step() * (0.5 + 1e-5)).all()


@pytest.mark.parametrize("n_rows", [1, 4, 5, 40])
@pytest.mark.parametrize(("n_in", "n_out"), [(64, 25), (96, 48), (36, 7), (17, 3)])
def test_int8_product_is_that_of_its_weights(n_rows: int, n_in: int, n_out: int) -> None:
    draw = torch.Generator().manual_seed(n_in)
    layer = filled(Int8Linear(n_in, n_out), torch.randn((n_out, n_in), generator=draw))
    x_RK = torch.randn((n_rows, n_in), generator=draw)
    want_RN = F.linear(x_RK.bfloat16().float(), layer.dequantize())
    assert (layer(x_RK) - want_RN).abs().max() <= want_RN.abs().max() * 0.01
    assert layer(x_RK).dtype == torch.float32 and layer(x_RK.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("n_rows", [1, 40])
@pytest.mark.parametrize("group_size", [32, 64, 128])
@pytest.mark.parametrize("n_out", [16, 25])
def test_int4_product_is_that_of_its_weights(n_rows: int, group_size: int, n_out: int) -> None:
    draw = torch.Generator().manual_seed(group_size)
    weight_NK = torch.randn((n_out, 256), generator=draw)
    layer = filled(Int4Linear(256, n_out, group_size), weight_NK)
    x_RK = torch.randn((n_rows, 256), generator=draw)
    want_RN = F.linear(x_RK.bfloat16().float(), layer.dequantize())
    assert (layer(x_RK) - want_RN).abs().max() <= want_RN.abs().max() * 0.01


def test_every_linear_layer_is_quantised_and_nothing_else_copied() -> None:
    model = small_model()
    other = quantize_int8(model)
    assert len(quantized_layers(other)) == 7 * (2 + 1 + 1) + 2
    assert other.dtype == model.dtype and scheme_of(other) == Scheme("int8")
    shared, ours = model.model.embed_tokens.weight, other.model.embed_tokens.weight
    assert ours.data_ptr() == shared.data_ptr()
    assert scheme_of(model) is None


def test_int8_logits_stay_near_those_of_the_source() -> None:
    model = small_model()
    grid_BTC = random_rows(model.config, 40, 1)[None]
    want, have = model(grid_BTC), quantize_int8(model)(grid_BTC)
    for w, h in ((want.text_BTV, have.text_BTV), (want.audio_BTV, have.audio_BTV)):
        change = float((h - w).abs().max() / w.abs().max())
        assert 0 < change < 0.1


def test_int8_model_generates_rows() -> None:
    model = quantize_int8(small_model())
    prompt_TC = random_rows(model.config, 9, 2).numpy()
    reply, again = (generate(model, [prompt_TC], SAMPLING, [1], 12)[0] for _ in range(2))
    assert 1 <= len(reply.rows_TC) <= 12
    assert reply.rows_TC.tolist() == again.rows_TC.tolist()


def test_what_cannot_be_quantised_is_refused() -> None:
    with pytest.raises(ValueError, match="int8 already"):
        quantize_int8(quantize_int8(small_model()))
    with pytest.raises(ValueError, match=r"group size is 48, must be one of \(32, 64, 128\)"):
        Scheme("int4", 48)
    with pytest.raises(ValueError, match="group size is 32, must divide 36 inputs"):
        quantize(small_model(), Scheme("int4", 32))
