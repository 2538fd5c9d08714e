"""The forward pass: which channel a row reads, what the tails see."""

import torch

from moss_speech.lm.model import channel_parameters
from moss_speech.lm.split import copy_text_to_speech
from tests.lm.small import N_CODES, random_rows, small_model


def test_text_row_ignores_its_speech_id_and_speech_row_reads_only_it() -> None:
    model = small_model()
    rows = random_rows(model.config, 30, seed=1)
    speech = rows[:, 0] == model.config.ids.modality_pad
    other = torch.where(speech, rows[:, 1], (rows[:, 1] + 1) % N_CODES)
    changed = torch.stack((rows[:, 0], other), -1)
    assert speech.any() and not speech.all()
    assert torch.equal(model(rows[None]).text_BTV, model(changed[None]).text_BTV)
    moved = rows.clone()
    moved[speech, 1] = (moved[speech, 1] + 1) % N_CODES
    assert not torch.equal(model.embed(rows[None]), model.embed(moved[None]))


def test_no_row_sees_a_later_one() -> None:
    model = small_model()
    rows = random_rows(model.config, 20, seed=2)
    whole, part = model(rows[None]), model(rows[None, :11])
    torch.testing.assert_close(whole.audio_BTV[:, :11], part.audio_BTV, rtol=0, atol=1e-5)


def test_speech_path_equals_text_path_right_after_the_split() -> None:
    model = small_model(n_tail=2)
    copy_text_to_speech(model, seed=3)
    grid = random_rows(model.config, 12, seed=4)[None]
    place = model.place(grid)
    x = model.trunk(grid, place)
    assert torch.equal(model.tail(x, "text", place), model.tail(x, "audio", place))


def test_second_tail_is_not_disturbed_by_the_first() -> None:
    model = small_model()
    grid = random_rows(model.config, 9, seed=5)[None]
    place = model.place(grid)
    x = model.trunk(grid, place)
    alone = model.tail(x, "audio", place)
    model.tail(x, "text", place)
    assert torch.equal(alone, model.tail(x, "audio", place))


def test_model_without_tails_shares_all_layers() -> None:
    model = small_model(n_trunk=2, n_tail=0)
    grid = random_rows(model.config, 7, seed=6)[None]
    assert model(grid).audio_BTV.shape == (1, 7, N_CODES + 5)


def test_channels_share_no_weight() -> None:
    model = small_model()
    text, audio = (channel_parameters(model, channel) for channel in ("text", "audio"))
    assert not text.keys() & audio.keys()
    pointers = [w.data_ptr() for w in model.parameters()]
    assert len(set(pointers)) == len(pointers)
