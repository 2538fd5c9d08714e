import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from moss_speech.codec.encoder import Encoder
from moss_speech.codec.readout import ENGLISH, Alphabet, CtcReadout
from moss_speech.codec.start import Start
from moss_speech.corpus.items import Utterance
from moss_speech.params.fit import FitParams
from moss_speech.params.train_tokenizer import Attention, TrainTokenizer
from moss_speech.records import SilentTracker, Tracker
from moss_speech.training.launch import Fit
from moss_speech.training.tokenizer import freeze_bottom, train_tokenizer
from moss_speech.training.tokenizer_data import LengthBatches, Spoken, by_length, can_be_spelt
from moss_speech.training.tokenizer_report import held_out
from tests.codec.small import small_config, small_encoder

FIT = FitParams(
    steps=6,
    lr=2e-3,
    final_lr_ratio=0.1,
    warmup_steps=1,
    weight_decay=0.01,
    beta2=0.98,
    clip_norm=1.0,
    average_decay=0.0,
    precision="fp32",
    checkpoint_steps=2,
    log_steps=2,
)
P = TrainTokenizer(
    keep=False,
    threads=1,
    start="whisper-tiny.en",
    layers=2,
    codes=16,
    lookahead_frames=16,
    frozen_layers=0,
    readout_width=16,
    max_items=40,
    max_dev_items=10,
    max_item_s=12.0,
    batch_s=8.0,
    encoder_lr_ratio=0.5,
    distillation=1.0,
    commitment=0.25,
    attention=None,
    kmeans_rounds=4,
    codebook_decay=0.9,
    dead_below=0.1,
    vector_noise=0.3,
    noise=0.1,
    time_masks=2,
    mask_frames=10,
    readout_fit=FIT,
    fit=FIT,
)
CONFIG = small_config(quantize_vocab_size=P.codes, lookahead_frames=P.lookahead_frames)


def spoken(n_items: int) -> list[Spoken]:
    torch.manual_seed(5)
    lengths = torch.randint(10, 30, (n_items,)).tolist()
    return [Spoken(torch.randn(80, 8 * n).half(), n, [1 + n % 7, 2, 3]) for n in lengths]


def train(folder: Path, tracker: Tracker, p: TrainTokenizer = P) -> tuple[Encoder, CtcReadout]:
    encoder = small_encoder(quantize_vocab_size=P.codes, lookahead_frames=16)
    torch.manual_seed(1)
    readout = CtcReadout(CONFIG.d_model, P.readout_width, Alphabet(ENGLISH))
    start = Start(encoder, has_codes=False)
    train_tokenizer(start, readout, spoken(40), p, Fit(FIT, 1, folder, tracker))
    return encoder, readout


class KilledError(BaseException):
    pass


class KillingTracker(SilentTracker):
    """Ends the run at a step of a curve, as a kill would: nothing is caught on the way out."""

    def __init__(self, curve: str, step: int) -> None:
        self.curve, self.step = curve, step

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        if step == self.step and any(name.startswith(self.curve) for name in values):
            raise KilledError


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Encoder, CtcReadout]:
    return train(tmp_path_factory.mktemp("unbroken"), SilentTracker())


@pytest.mark.parametrize(("curve", "step"), [("train-readout/", 4), ("train/", 4)])
def test_killed_and_resumed_training_gives_equal_weights(tmp_path, curve, step, unbroken):
    with pytest.raises(KilledError):
        train(tmp_path, KillingTracker(curve, step))
    resumed = train(tmp_path, SilentTracker())
    for ours, theirs in zip(unbroken, resumed, strict=True):
        wanted, found = ours.state_dict(), theirs.state_dict()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)


WITH_ATTENTION = P.model_copy(update={"attention": Attention(weight=0.5, layers=1)})


def test_killed_and_resumed_training_with_attention_gives_equal_weights(tmp_path, unbroken):
    whole = train(tmp_path / "whole", SilentTracker(), WITH_ATTENTION)
    with pytest.raises(KilledError):
        train(tmp_path / "broken", KillingTracker("train/", 4), WITH_ATTENTION)
    resumed = train(tmp_path / "broken", SilentTracker(), WITH_ATTENTION)
    for ours, theirs in zip(whole, resumed, strict=True):
        wanted, found = ours.state_dict(), theirs.state_dict()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    plain, taught = unbroken[0].state_dict(), whole[0].state_dict()
    assert not torch.equal(plain["layers.0.fc1.weight"], taught["layers.0.fc1.weight"])


class NotingTracker(SilentTracker):
    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        for name, value in values.items():
            self.seen.setdefault(name, []).append(value)


def test_curves_hold_both_losses_and_the_use_of_the_codes(tmp_path):
    tracker = NotingTracker()
    train(tmp_path, tracker, WITH_ATTENTION)
    for name in ("ctc", "attention", "teacher", "commit", "codes_used", "perplexity"):
        assert len(tracker.seen[f"train/{name}"]) == FIT.steps // FIT.log_steps
    assert all(0 < used <= 1 for used in tracker.seen["train/codes_used"])
    assert all(1 <= n <= P.codes for n in tracker.seen["train/perplexity"])


def test_training_moves_encoder_and_codebook_and_leaves_positions(unbroken):
    start = small_encoder(quantize_vocab_size=P.codes, lookahead_frames=16).state_dict()
    trained = unbroken[0].state_dict()
    assert not torch.equal(start["layers.0.fc1.weight"], trained["layers.0.fc1.weight"])
    assert not torch.equal(start["codebook.weight"], trained["codebook.weight"])
    assert torch.equal(start["embed_positions.weight"], trained["embed_positions.weight"])


def test_frozen_layers_are_the_lowest_with_the_convolutions():
    encoder = small_encoder()
    freeze_bottom(encoder, 1)
    trained = {name for name, w in encoder.named_parameters() if w.requires_grad}
    assert trained == {name for name in trained if name.startswith("layers.1.")} != set()
    with pytest.raises(ValueError, match=r"frozen_layers is 3, must be 0\.\.2"):
        freeze_bottom(encoder, 3)


def test_batch_is_a_function_of_the_step_and_an_epoch_has_every_item_once():
    items = spoken(40)
    targets = [torch.full((item.n_codes, 4), float(i)) for i, item in enumerate(items)]
    batches = LengthBatches(items, targets, batch_codes=100, seed=1)
    again = LengthBatches(items, targets, batch_codes=100, seed=1)
    seen: list[int] = []
    step = 0
    while len(seen) < 40:
        batch = batches(step)
        assert torch.equal(again(step).mel_BMF, batch.mel_BMF)
        assert batch.inside.sum() == batch.codes_B.sum()
        seen += batch.target_BND[:, 0, 0].int().tolist()
        step += 1
    assert sorted(seen) == list(range(40))


def test_groups_by_length_keep_the_padded_sum_within_the_limit():
    lengths = [3, 9, 4, 4, 1, 20, 8]
    groups = by_length(lengths, 16)
    assert sorted(i for group in groups for i in group) == list(range(7))
    assert all(len(g) * max(lengths[i] for i in g) <= 16 for g in groups if len(g) > 1)


def utterance(text: str, duration_s: float = 2.0, **splits: str) -> Utterance:
    values = {"voice_split": "train", "text_split": "train"} | splits
    return Utterance("u", "u.flac", duration_s, text, "espeak-ng:m1", "salad", **values)


def test_text_that_ctc_cannot_write_is_left_out():
    alphabet, form = Alphabet(ENGLISH), CONFIG.audio_format
    assert can_be_spelt(utterance("a dog"), alphabet, form)
    assert not can_be_spelt(utterance("7 dogs"), alphabet, form)
    assert not can_be_spelt(utterance(""), alphabet, form)
    assert not can_be_spelt(utterance("too many words for this", duration_s=0.2), alphabet, form)


@pytest.mark.parametrize(("split", "other"), [("dev", "test"), ("test", "dev")])
def test_held_out_sets_hold_one_split_and_nothing_that_is_trained_on(split, other):
    splits = ("train", "dev", "test")
    every = [
        dataclasses.replace(utterance("a"), voice_split=v, text_split=t, role=role)
        for v in splits
        for t in splits
        for role in ("question", "human")
    ]
    sets = held_out(every, split)
    assert {name: len(us) for name, us in sets.items()} == {
        "voice": 2,
        "wording": 2,
        "both": 1,
        "human": 1,
    }
    chosen = [u for us in sets.values() for u in us]
    assert all(other not in (u.voice_split, u.text_split) for u in chosen)
    assert not any(u.for_training for u in chosen)


def test_a_codec_goes_on_from_its_own_codes(tmp_path):
    start = Start(small_encoder(quantize_vocab_size=P.codes, lookahead_frames=16), has_codes=True)
    before = copy.deepcopy(start.encoder)
    readout = CtcReadout(CONFIG.d_model, P.readout_width, Alphabet(ENGLISH))
    still = P.model_copy(
        update={"noise": 0.0, "time_masks": 0, "codebook_decay": 1.0, "dead_below": 0.0}
    )
    slow = still.model_copy(update={"fit": FIT.model_copy(update={"lr": 1e-9})})
    train_tokenizer(start, readout, spoken(40), slow, Fit(slow.fit, 1, tmp_path, SilentTracker()))
    assert torch.allclose(start.encoder.codebook.weight, before.codebook.weight, atol=1e-6)
    mel, codes = torch.randn(1, 80, 160), torch.tensor([20])
    assert torch.allclose(start.encoder(mel, codes), before(mel, codes), atol=1e-4)
