"""How a step is computed: in passes, recomputed, compiled, from frozen weights, by schedules."""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from moss_speech.lm.model import CHANNELS, LayerSplitLM, channel_parameters
from moss_speech.params.lm import Full, Layerwise, LMFit, Shared
from moss_speech.records import SilentTracker
from moss_speech.training.lm import _run_layers, fit_lm, n_passes
from moss_speech.training.lm_batches import PackedBatch, PackedSteps
from moss_speech.training.lm_loss import PackedLoss
from moss_speech.training.unfreeze import Group, learning_channels, schedule, speech_side
from tests.lm.small import small_model
from tests.training.killing import KillAt, die
from tests.training.packs import CONFIG, PARAMS, SPOKEN, TYPED, how, packs

PACKED = packs(TYPED, SPOKEN, each=12)
STILL = {"dropout": 0.0, "packed_rows_per_step": 8, "packed_rows_per_pass": 8, "steps": 6}
LAYERWISE = Layerwise(kind="layerwise", layers_per_group=1, steps_per_group=3, lr_ratio=0.7)


def params(**values: Any) -> LMFit:
    return LMFit.model_validate(PARAMS.model_dump() | STILL | values)


def trained(
    folder: Path,
    p: LMFit,
    groups: Callable[[LayerSplitLM], list[Group]] | None = None,
    model: LayerSplitLM | None = None,
) -> dict[str, Tensor]:
    model = model or small_model()
    fit_lm(model, PACKED, p, how(folder, p=p), groups(model) if groups else None)
    return {name: w.detach().clone() for name, w in model.named_parameters()}


def each_step_a_layer(model: LayerSplitLM) -> list[Group]:
    """All weights, one more layer each step."""
    return schedule(model, LAYERWISE.model_copy(update={"steps_per_group": 1}))


def worst(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """Largest difference of two trained models as a part of the largest step from their start."""
    start = dict(small_model().named_parameters())
    moved = max(float((w - start[n]).abs().max()) for n, w in theirs.items())
    return max(float((w - ours[n]).abs().max()) for n, w in theirs.items()) / moved


@pytest.mark.parametrize("rows_per_pass", [4, 3, 2])
def test_passes_give_the_weights_of_the_whole_step(rows_per_pass: int, tmp_path: Path) -> None:
    """Worst difference measured 2e-5 of the step; unweighted means of passes are off by 1e-2."""
    whole = trained(tmp_path / "1", params())
    parts = trained(tmp_path / "2", params(packed_rows_per_pass=rows_per_pass))
    assert worst(parts, whole) < 1e-3


def test_curves_show_the_loss_of_the_whole_step(tmp_path: Path) -> None:
    def curve(p: LMFit) -> list[Mapping[str, float]]:
        seen: list[Mapping[str, float]] = []

        class Notes(SilentTracker):
            def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
                seen.append(values)

        fit_lm(small_model(), PACKED, p, how(tmp_path / str(p.packed_rows_per_pass), Notes(), p))
        return seen

    whole, parts = curve(params()), curve(params(packed_rows_per_pass=3))
    assert len(whole) == len(parts) == 6
    for have, want in zip(parts, whole, strict=True):
        assert have == pytest.approx(want, rel=1e-3)


def test_passes_hold_no_more_packed_rows_than_asked_for() -> None:
    assert n_passes(params(packed_rows_per_pass=8), 1) == 1
    assert n_passes(params(packed_rows_per_pass=3), 1) == 3
    assert n_passes(params(packed_rows_per_pass=3), 2) == 2
    assert n_passes(params(packed_rows_per_step=153, packed_rows_per_pass=1), 8) == 20


@pytest.mark.parametrize("count", [2, 4, 5])
def test_parts_add_up_to_the_step_even_if_some_have_nothing_to_do(count: int) -> None:
    model = small_model()
    batch = PackedSteps(PACKED, params(packed_rows_per_step=3), CONFIG, CHANNELS, 0)(0)

    def gradients(parts: list[PackedBatch]) -> list[Tensor]:
        model.zero_grad()
        for part in parts:
            sum(PackedLoss(model)(part).values()).backward()  # type: ignore[union-attr]
        return [w.grad.clone() for w in model.parameters() if w.grad is not None]

    parts = [batch.part(i, count) for i in range(count)]
    assert [i for part in parts for i in part.item_ids()] == batch.item_ids()
    for have, want in zip(gradients(parts), gradients([batch]), strict=True):
        torch.testing.assert_close(have, want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputed_layers_give_the_same_bits(dropout: float, tmp_path: Path) -> None:
    plain = trained(tmp_path / "1", params(steps=3, dropout=dropout))
    p = params(steps=3, dropout=dropout, activation_checkpointing=True)
    assert worst(trained(tmp_path / "2", p), plain) == 0


@pytest.mark.slow
@pytest.mark.parametrize("recomputed", [False, True])
def test_compiled_layers_give_the_same_weights(recomputed: bool, tmp_path: Path) -> None:
    plain = trained(tmp_path / "1", params(steps=3))
    torch.compiler.reset()
    counters.clear()
    p = params(steps=3, compile="aot_eager", activation_checkpointing=recomputed)
    assert worst(trained(tmp_path / "2", p), plain) < 1e-3
    assert counters["stats"]["unique_graphs"] > 0


def test_recomputing_layers_keeps_fewer_activations() -> None:
    def kept(p: LMFit) -> int:
        model, sizes = small_model(n_trunk=6).train(), list[int]()
        _run_layers(model, p)
        batch = PackedSteps(PACKED, p, CONFIG, ("text", "audio"), 0)(0)

        def note(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            PackedLoss(model)(batch)
        return sum(sizes)

    assert kept(params(activation_checkpointing=True)) < kept(params()) / 3


def test_frozen_stage_never_calls_the_text_tail_or_its_head(tmp_path: Path) -> None:
    model, called = small_model(), set[str]()
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: called.add(name))
    before = {n: w.clone() for n, w in model.named_parameters()}
    grads: dict[str, bool] = {}
    for name, weight in model.named_parameters():
        weight.register_hook(lambda g, name=name: grads.__setitem__(name, True))
    fit_lm(model, PACKED, params(), how(tmp_path, p=params()), speech_side(model))
    assert not any("text_block" in n or "text_norm" in n or "text_lm_head" in n for n in called)
    assert any("audio_block" in n for n in called)
    speech = set(channel_parameters(model, "audio"))
    assert set(grads) == speech
    moved = {n for n, w in model.named_parameters() if not torch.equal(w, before[n])}
    assert moved == speech


def test_frozen_stage_takes_only_packed_rows_that_hold_speech_to_learn() -> None:
    steps = PackedSteps(PACKED, params(), CONFIG, ["audio"], 0)
    seen = {i for step in range(5) for i in steps(step).item_ids()}
    spoken = (PACKED.targets_NLC[..., 1] >= 0).any(1)
    assert seen == set(spoken.nonzero()[0].tolist()) and not spoken.all()
    assert all(len(steps(step).item_ids()) == 8 for step in range(5))
    with pytest.raises(ValueError, match=r"none of .* packed rows has a target in audio"):
        PackedSteps(packs(TYPED), params(), CONFIG, ["audio"], 0)


def test_channels_that_learn_follow_from_the_groups() -> None:
    model = small_model()
    assert learning_channels(model, speech_side(model)) == ["audio"]
    assert learning_channels(model, schedule(model, Shared(kind="shared"))) == ["text", "audio"]
    trunk = frozenset({"model.shared_block.layers.0.mlp.up_proj.weight"})
    assert learning_channels(model, [Group(trunk)]) == ["text", "audio"]


def test_shared_schedule_keeps_every_bit_of_the_text_side(tmp_path: Path) -> None:
    model = small_model()
    before = {n: w.clone() for n, w in model.named_parameters()}
    after = trained(tmp_path, params(), lambda m: schedule(m, Shared(kind="shared")), model)
    kept = {n for n, w in after.items() if torch.equal(w, before[n])}
    assert kept == set(channel_parameters(model, "text"))


def test_layers_join_from_the_last_to_the_first() -> None:
    model = small_model(n_trunk=3, n_tail=2)
    speech, *groups = schedule(model, LAYERWISE)
    assert speech.names == set(channel_parameters(model, "audio"))
    firsts = [min(g.names) for g in groups]
    assert [re.sub(r"\.(input|mlp|self).*", "", first) for first in firsts] == [
        "model.text_block.layers.1",
        "model.text_block.layers.0",
        "model.shared_block.layers.2",
        "model.shared_block.layers.1",
        "model.embed_tokens.weight",
    ]
    assert "text_lm_head.weight" in groups[0].names
    assert [g.start_step for g in groups] == [0, 3, 6, 9, 12]
    assert [g.lr_ratio for g in groups] == pytest.approx([0.7**k for k in range(5)])
    names = [n for g in (speech, *groups) for n in g.names]
    assert len(names) == len(set(names)) and set(names) == set(dict(model.named_parameters()))


def test_layers_that_have_not_joined_have_neither_moved_nor_optimizer_state(tmp_path: Path) -> None:
    model = small_model()
    groups = schedule(model, LAYERWISE)
    before = {n: w.clone() for n, w in model.named_parameters()}
    p = params(steps=7, checkpoint_steps=5)
    fit_lm(model, PACKED, p, how(tmp_path, p=p), groups)
    saved = torch.load(tmp_path / "lm" / "last.ckpt", weights_only=True)
    weights = {n.removeprefix("loss.model."): w for n, w in saved["state_dict"].items()}
    joined = {n for g in groups if g.start_step < 5 for n in g.names}
    assert {n for n, w in weights.items() if not torch.equal(w, before[n])} == joined
    held = sum(e["exp_avg"].numel() for e in saved["optimizer_states"][0]["state"].values())
    assert held == sum(before[n].numel() for n in joined)
    assert all(not torch.equal(w, before[n]) for n, w in model.named_parameters())


def test_layer_that_would_never_join_is_refused(tmp_path: Path) -> None:
    model, p = small_model(), params(steps=6)
    with pytest.raises(ValueError, match=r"start to learn at step 6, must be 0\.\.5"):
        fit_lm(model, PACKED, p, how(tmp_path, p=p), schedule(model, LAYERWISE))


def test_model_without_a_split_trains_both_channels(tmp_path: Path) -> None:
    before = dict(small_model(n_tail=0).named_parameters())
    after = trained(tmp_path, params(), model=small_model(n_tail=0))
    assert not any("text_block" in n or "audio_block" in n for n in after)
    assert all(not torch.equal(w, before[n]) for n, w in after.items())


def _train_by(
    unfreeze: Full | Layerwise, folder: Path, tracker: SilentTracker
) -> dict[str, Tensor]:
    p = params(steps=8, packed_rows_per_pass=3, dropout=0.1, checkpoint_steps=2, average_decay=0.5)
    model = small_model()
    fit_lm(model, PACKED, p, how(folder, tracker, p), schedule(model, unfreeze))
    return model.state_dict()


@pytest.mark.parametrize("unfreeze", [Full(kind="full"), LAYERWISE], ids=["full", "layerwise"])
def test_run_stopped_at_any_step_resumes_to_the_bits_of_an_unbroken_one(
    unfreeze: Full | Layerwise, tmp_path: Path
) -> None:
    torch.set_num_threads(1)  # as the processes that die
    whole = _train_by(unfreeze, tmp_path / "whole", SilentTracker())
    for step in range(1, 8):
        folder = tmp_path / str(step)
        die(_train_by, unfreeze, folder, KillAt(step))
        assert (folder / "lm" / "last.ckpt").is_file() == (step > 2)
        resumed = _train_by(unfreeze, folder, SilentTracker())
        assert all(torch.equal(w, resumed[n]) for n, w in whole.items()), step


@pytest.mark.parametrize("passes", [1, 4])
def test_step_that_is_not_finite_is_not_taken_and_its_rows_are_named(
    passes: int, tmp_path: Path
) -> None:
    model, p = small_model(), params(lr=0.05, checkpoint_steps=2, packed_rows_per_pass=8 // passes)
    spoilt = model.state_dict()["model.audio_embed.weight"]

    class Spoil(SilentTracker):
        """After three good steps, one weight becomes infinite."""

        def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
            if step == 3:
                before.update({n: w.clone() for n, w in model.state_dict().items()})
                spoilt[4] = math.inf

    before: dict[str, Tensor] = {}
    with pytest.raises(FloatingPointError, match=r"at step 3.*not-finite-0\.json") as raised:
        fit_lm(model, PACKED, p, how(tmp_path, Spoil(), p))
    file = tmp_path / "lm" / "not-finite-0.json"
    assert str(file) in str(raised.value)
    found = json.loads(file.read_text())
    assert found["step"] == 3 and found["rank"] == 0 and len(found["passes"]) == passes
    rows = PackedSteps(PACKED, p, CONFIG, ("text", "audio"), 1)(3).item_ids()
    assert [i for part in found["passes"] for i in part["items"]] == rows
    assert found["losses"].keys() == {"text_loss", "audio_loss"}
    assert found["losses"]["audio_loss"] == "nan"
    for name, weight in model.state_dict().items():
        assert (weight != before[name]).sum() == (
            CONFIG.hidden_size if "audio_embed" in name else 0
        ), name
    saved = torch.load(tmp_path / "lm" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2
    assert all(w.isfinite().all() for w in saved["state_dict"].values())
