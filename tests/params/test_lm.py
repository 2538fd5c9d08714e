"""The language model's sections of every preset."""

from pathlib import Path

import pytest

from moss_speech.params.base import load_section, read_yaml
from moss_speech.params.lm import (
    Finetune,
    InitBackbone,
    Pack,
    PretrainFrozen,
    PretrainJoint,
    Scratch,
)

PRESETS = Path(__file__).parents[2] / "presets"
NAMES = ("tiny", "demo", "paper", "finetune")


@pytest.mark.parametrize("preset", NAMES)
def test_packs_exist_for_every_stage_that_trains(preset: str) -> None:
    path = PRESETS / f"{preset}.yaml"
    pack = load_section(path, "pack", Pack)
    frozen = load_section(path, "pretrain_frozen", PretrainFrozen)
    joint = load_section(path, "pretrain_joint", PretrainJoint)
    assert load_section(path, "finetune", Finetune).fit.steps > 0
    assert pack.finetune is not None
    assert (pack.frozen is None) == (frozen.fit is None)
    assert (pack.joint is None) == (joint.fit is None)


@pytest.mark.parametrize("preset", NAMES)
def test_backbone_knows_as_many_codes_as_the_tokenizer_makes(preset: str) -> None:
    path = PRESETS / f"{preset}.yaml"
    backbone = load_section(path, "init_backbone", InitBackbone)
    assert backbone.n_codes == read_yaml(path)["train_tokenizer"]["codes"]
    if isinstance(backbone.source, Scratch):
        pack = load_section(path, "pack", Pack)
        assert pack.context <= backbone.source.shape.max_rows


def test_paper_has_the_published_rates_and_context() -> None:
    path = PRESETS / "paper.yaml"
    fits = [
        load_section(path, "pretrain_frozen", PretrainFrozen).fit,
        load_section(path, "pretrain_joint", PretrainJoint).fit,
        load_section(path, "finetune", Finetune).fit,
    ]
    assert [fit.lr for fit in fits if fit] == [4e-4, 6e-5, 1e-5]
    assert load_section(path, "pack", Pack).context == 14336
