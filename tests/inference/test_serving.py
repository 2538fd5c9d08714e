"""One model served in every way that a CPU has."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from moss_speech.bundle import Bundle
from moss_speech.inference.engine import Engine
from moss_speech.inference.serving import Dtype, Serving, Weights, prepared
from moss_speech.inference.turns import Output, Reply, Turn
from moss_speech.lm import grid
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.quantize import Scheme, quantize, scheme_of

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
WAYS: list[tuple[Dtype | None, Weights]] = list(product((None, "fp32", "bf16"), ("kept", "int8")))


def ask(bundle: Bundle, output: Output) -> Reply:
    return Engine(bundle).reply([Turn("user", text="what colour")], output, seed=3, max_rows=24)


@pytest.mark.parametrize(("dtype", "weights"), WAYS)
def test_each_way_answers_alike_again_and_again(
    bundle_folder: Path, dtype: Dtype | None, weights: Weights
) -> None:
    served = prepared(Bundle.open(bundle_folder), Serving("cpu", dtype, weights))
    assert served.lm.dtype == TYPES[dtype or "fp32"]
    assert (scheme_of(served.lm) is None) == (weights == "kept")
    first, again = ask(served, "audio"), ask(served, "audio")
    assert first.codes == again.codes and np.array_equal(first.audio, again.audio)
    assert first.codes and first.audio.size == 1920 * len(first.codes)
    assert ask(served, "text").text == ask(served, "text").text


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_int8_stays_close_to_the_kept_weights(bundle_folder: Path, dtype: Dtype) -> None:
    kept, small = (
        prepared(Bundle.open(bundle_folder), Serving("cpu", dtype, weights))
        for weights in ("kept", "int8")
    )
    rows = grid.prompt_rows(
        [grid.Turn("user", text="what colour is the grass")], "audio", kept.tokenizer,
        kept.lm.config,
    )  # fmt: skip
    with torch.inference_mode():
        wanted, found = (
            b.lm(torch.from_numpy(rows)[None]).audio_BTV.float() for b in (kept, small)
        )
    difference, size = float((wanted - found).std()), float(wanted.std())
    assert 0 < difference < 0.05 * size
    assert stored_bytes(small.lm) < stored_bytes(kept.lm)


def stored_bytes(lm: LayerSplitLM) -> int:
    return sum(w.nbytes for w in lm.state_dict().values())


def test_model_with_int8_files_is_served_as_it_is(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    bundle = replace(bundle, lm=quantize(bundle.lm, Scheme("int8")))
    assert prepared(bundle, Serving(weights="int8")).lm is bundle.lm


def test_gpu_that_is_not_there_is_refused(bundle_folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match=r"'cuda', but torch finds no GPU .* MOSS_DEVICE=cpu"):
        prepared(Bundle.open(bundle_folder), Serving(device="cuda"))


def test_int4_weights_have_no_float32(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    bundle = replace(bundle, lm=quantize(bundle.lm, Scheme("int4", 32)))
    with pytest.raises(ValueError, match="dtype is 'fp32', must be 'bf16'"):
        prepared(bundle, Serving(dtype="fp32"))
