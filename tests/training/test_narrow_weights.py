"""Models in bfloat16: they learn as their float32 copies do, and come back in bfloat16."""

from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from moss_speech.lm.model import LayerSplitLM, channel_parameters
from moss_speech.training.lm import fit_lm
from moss_speech.training.unfreeze import speech_side
from tests.lm.small import small_model
from tests.training.packs import PARAMS, how, packs

SMALL_STEPS = {"lr": 1e-5, "steps": 8, "dropout": 0.0}


def trained(
    folder: Path, model: LayerSplitLM, precision: Literal["fp32", "bf16"], frozen: bool = False
) -> dict[str, Tensor]:
    p = PARAMS.model_copy(update={**SMALL_STEPS, "precision": precision})
    fit_lm(model, packs(), p, how(folder, p=p), speech_side(model) if frozen else None)
    return {name: w.detach().clone() for name, w in model.named_parameters()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_small_steps_are_not_lost_to_rounding(
    tmp_path: Path, precision: Literal["fp32", "bf16"]
) -> None:
    start = small_model().bfloat16()
    wide = trained(tmp_path / "1", small_model().bfloat16().float(), precision)
    narrow = trained(tmp_path / "2", small_model().bfloat16(), precision)
    for name, weight in narrow.items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, wide[name].bfloat16())
    changed = sum(int((w != start.get_parameter(n)).sum()) for n, w in narrow.items())
    assert changed > 0.01 * sum(w.numel() for w in narrow.values())


def test_frozen_weights_stay_narrow_bit_for_bit(tmp_path: Path) -> None:
    model, start = small_model().bfloat16(), small_model().bfloat16()
    after = trained(tmp_path, model, "bf16", frozen=True)
    speech = channel_parameters(start, "audio")
    for name, weight in start.named_parameters():
        assert after[name].dtype == torch.bfloat16
        assert name in speech or torch.equal(after[name], weight)
    assert any(not torch.equal(after[name], start.get_parameter(name)) for name in speech)
