"""Training the language model: what is frozen, what is run, what survives a kill."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from moss_speech.corpus.packing.packed import pack
from moss_speech.lm.grid import Turn, training_sequence
from moss_speech.lm.model import LayerSplitLM, channel_parameters
from moss_speech.lm.probe import largest_change, text_probe
from moss_speech.records import SilentTracker, Tracker
from moss_speech.training.launch import Fit
from moss_speech.training.lm import fit_lm
from moss_speech.training.lm_batches import take, with_noise
from moss_speech.training.lm_loss import PackedLoss
from moss_speech.training.unfreeze import speech_side
from tests.lm.small import N_CODES, small_model
from tests.training.killing import KillAt, die
from tests.training.packs import CONFIG, PARAMS, TOKENIZER, how, packs


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_text_logits_stay_bit_identical_through_the_frozen_stage(
    average: float, tmp_path: Path
) -> None:
    model = small_model()
    before = text_probe(model, 0)
    speech = {n: w.clone() for n, w in channel_parameters(model, "audio").items()}
    p = PARAMS.model_copy(update={"average_decay": average})
    fit_lm(model, packs(), p, Fit(p, 1, tmp_path, SilentTracker()), speech_side(model))
    assert largest_change(before, text_probe(model, 0)) == 0.0
    changed = [not torch.equal(w, channel_parameters(model, "audio")[n]) for n, w in speech.items()]
    assert all(changed)


def test_frozen_stage_keeps_no_state_for_what_is_frozen(tmp_path: Path) -> None:
    model = small_model()
    fit_lm(model, packs(), PARAMS, how(tmp_path), speech_side(model))
    state = torch.load(tmp_path / "lm" / "last.ckpt", weights_only=True)["optimizer_states"][0]
    held = sum(entry["exp_avg"].numel() for entry in state["state"].values())
    assert held == sum(w.numel() for w in channel_parameters(model, "audio").values())


def test_joint_stage_moves_text_and_speech(tmp_path: Path) -> None:
    model = small_model()
    before = {n: w.clone() for n, w in model.named_parameters()}
    fit_lm(model, packs(), PARAMS, how(tmp_path))
    assert all(not torch.equal(w, before[n]) for n, w in model.named_parameters())


def _train(folder: Path, tracker: Tracker | None = None) -> LayerSplitLM:
    model = small_model()
    fit_lm(model, packs(), PARAMS, how(folder, tracker))
    return model


def test_killed_and_resumed_run_gives_the_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    torch.set_num_threads(1)  # as the process that dies
    die(_train, tmp_path / "broken", KillAt(7))
    assert (tmp_path / "broken" / "lm" / "last.ckpt").is_file()
    whole, resumed = _train(tmp_path / "whole"), _train(tmp_path / "broken")
    assert all(torch.equal(w, resumed.state_dict()[n]) for n, w in whole.state_dict().items())


def test_tail_without_targets_gets_no_gradient() -> None:
    model = small_model()
    packed = packs(Turn("assistant", "it is green"))
    losses = PackedLoss(model)(take(packed, np.arange(len(packed))))
    losses["text"].backward()  # type: ignore[no-untyped-call]
    assert "audio" not in losses
    assert all(w.grad is None for w in model.model.audio_block.parameters())
    assert all(w.grad is not None for w in model.model.text_block.parameters())


def test_loss_is_that_of_hand_made_targets() -> None:
    model = small_model()
    packed = packs(Turn("assistant", codes=[4, 9]))
    batch = take(packed, np.arange(len(packed)))
    rows = batch.grid_BLC[0][batch.document_BL[0] <= 1][None]
    n_rows = int(((batch.document_BL[0] == 0) | (batch.document_BL[0] == 1)).sum())
    logits = model(rows[:, :n_rows]).audio_BTV[0, -4:-1].log_softmax(-1)
    by_hand = -(logits[0, 4] + logits[1, 9] + logits[2, N_CODES])
    found = PackedLoss(model)(batch)["audio"] / batch.step_targets_C[1]
    assert float(found) == pytest.approx(float(by_hand) / 3, rel=1e-4)


def test_noise_replaces_codes_only_and_is_the_same_for_a_seed() -> None:
    asked = [Turn("user", codes=[3, 1, 4, 1, 5]), Turn("assistant", codes=[4, 9, 2, 6])]
    packed = pack([training_sequence(asked, TOKENIZER, CONFIG)] * 9, 200, CONFIG.ids)
    batch = take(packed, np.arange(len(packed)))
    is_code = (batch.grid_BLC[..., 0] == CONFIG.ids.modality_pad) & (
        batch.grid_BLC[..., 1] < N_CODES
    )
    is_reply = is_code & (batch.targets_BLC[..., 1] >= 0)
    for heard, reply, allowed in ((0.9, 0.0, is_code & ~is_reply), (0.0, 0.9, is_reply)):
        noisy, again = (
            with_noise(batch, heard, reply, CONFIG, torch.Generator().manual_seed(0)) for _ in "ab"
        )
        assert torch.equal(noisy.grid_BLC, again.grid_BLC)
        changed = (noisy.grid_BLC != batch.grid_BLC).any(-1)
        assert changed.any() and not (changed & ~allowed).any()
        assert int(noisy.grid_BLC[..., 1].max()) <= CONFIG.ids.audio_pad


def test_module_hands_losses_of_both_channels_to_the_curves(tmp_path: Path) -> None:
    seen: list[set[str]] = []

    class Notes(SilentTracker):
        def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
            seen.append(set(values))

    fit_lm(small_model(), packs(), PARAMS, how(tmp_path, Notes()))
    assert set().union(*seen) == {"lm/text_loss", "lm/audio_loss"}
