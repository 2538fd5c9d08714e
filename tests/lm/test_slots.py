"""Passes over slots: chunked, deferred, batched, static, compiled; all equal to a whole pass."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from moss_speech.lm.model import CHANNELS
from moss_speech.lm.slots import Decoding, SlotDecoder, Wanted
from tests.lm.small import few_ids_model, random_rows, small_model

MODEL = small_model(n_tail=2)
BOTH: Wanted = {"text": 1, "audio": 1}
TOLERANCE = 1e-4
"""Of the largest logit: what may differ between orders of the same work."""


def whole(rows: Tensor) -> dict[str, Tensor]:
    """Logits of every row by one pass, [T, V] by channel."""
    logits = MODEL(rows[None])
    return {"text": logits.text_BTV[0], "audio": logits.audio_BTV[0]}


def close(have: Tensor, want: Tensor) -> None:
    torch.testing.assert_close(have, want, rtol=0, atol=TOLERANCE * float(want.abs().max()))


def row(rows: Tensor, at: int) -> tuple[int, int]:
    return int(rows[at, 0]), int(rows[at, 1])


@settings(max_examples=12)
@given(
    prompts=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    chunk_rows=st.sampled_from([1, 3, 7, 512]),
    static=st.booleans(),
    seed=st.integers(0, 99),
)
def test_logits_asked_for_at_random_equal_a_whole_pass(
    prompts: Sequence[int], chunk_rows: int, static: bool, seed: int
) -> None:
    draw = random.Random(seed)
    rows = [random_rows(MODEL.config, n + 12, seed + n) for n in prompts]
    truth = [whole(r) for r in rows]
    decoder = SlotDecoder(MODEL, len(rows), 40, Decoding(chunk_rows=chunk_rows, static=static))
    for slot, n in enumerate(prompts):
        decoder.extend(slot, rows[slot][:n].numpy())
    n_compared = 0
    for _ in range(12):
        active = [slot for slot in range(len(rows)) if draw.random() < 0.8]
        wanted = {s: {c: 1 for c in CHANNELS if draw.random() < 0.5} for s in active}
        at = {slot: decoder.lengths[slot] for slot in active}
        found = decoder.step({s: row(rows[s], at[s]) for s in active}, wanted)
        for slot, by_channel in found.items():
            assert by_channel.keys() == wanted[slot].keys()
            for channel, logits in by_channel.items():
                close(logits[-1], truth[slot][channel][at[slot]])
                n_compared += 1
    assert n_compared > 2


def test_a_tail_that_catches_up_gives_the_logits_of_all_its_last_rows() -> None:
    rows = random_rows(MODEL.config, 30, 3)
    decoder = SlotDecoder(MODEL, 1, 40, Decoding(chunk_rows=4))
    decoder.extend(0, rows[:25].numpy())
    close(decoder.logits(0, "audio", n_last=11), whole(rows[:25])["audio"][-11:])
    for at in range(25, 29):
        decoder.step({0: row(rows, at)}, {0: {"text": 1} if at == 26 else {}})
    found = decoder.step({0: row(rows, 29)}, {0: {"audio": 5, "text": 3}})
    close(found[0]["audio"], whole(rows)["audio"][-5:])
    close(found[0]["text"], whole(rows)["text"][-3:])


def test_greedy_choices_differ_only_where_the_two_best_are_as_close_as_rounding() -> None:
    model, n_slots, n_rows = few_ids_model(), 8, 400
    draw = np.random.default_rng(0)
    rows_BTC = torch.from_numpy(
        np.stack(
            (draw.integers(3, 24, (n_slots, n_rows)), draw.integers(0, 7, (n_slots, n_rows))), -1
        )
    )
    whole_pass = model(rows_BTC)
    truth = {"text": whole_pass.text_BTV, "audio": whole_pass.audio_BTV}
    decoder = SlotDecoder(model, n_slots, n_rows)
    excluded = compared = 0
    for at in range(n_rows):
        found = decoder.step(
            {slot: row(rows_BTC[slot], at) for slot in range(n_slots)},
            dict.fromkeys(range(n_slots), BOTH),
        )
        for slot in range(n_slots):
            for channel in CHANNELS:
                want = truth[channel][slot, at]
                best = want.topk(2).values
                if best[0] - best[1] <= 2 * TOLERANCE * float(want.abs().max()):
                    excluded += 1
                    continue
                compared += 1
                assert int(found[slot][channel][-1].argmax()) == int(want.argmax())
    print(f"{compared} greedy choices equal, {excluded} excluded")
    assert compared + excluded == 2 * n_slots * n_rows and excluded <= 0.001 * 2 * n_slots * n_rows


def test_neighbours_do_not_change_a_slots_bits() -> None:
    rows = random_rows(MODEL.config, 16, seed=1)

    def logits(neighbour: int, active: bool) -> Tensor:
        decoder = SlotDecoder(MODEL, 3, 64)
        decoder.extend(1, rows[:10].numpy())
        for slot in (0, 2):
            decoder.extend(slot, random_rows(MODEL.config, 5 + neighbour, slot).numpy())
        kept = [decoder.logits(1, "audio")]
        beside = random_rows(MODEL.config, 16, seed=neighbour)
        for at in range(10, 16):
            following = {1: row(rows, at)}
            if active:
                following |= {slot: row(beside, at) for slot in (0, 2)}
            wanted = {slot: {"text": 1} for slot in (0, 2)} | {1: {"audio": 1}}
            kept.append(decoder.step(following, wanted)[1]["audio"])
        return torch.cat(kept)

    assert torch.equal(logits(3, True), logits(40, True))
    assert torch.equal(logits(3, True), logits(3, False))


def test_compiled_rows_equal_their_eager_twin() -> None:
    rows = random_rows(MODEL.config, 12, 5)
    found = []
    for compiler in (None, "aot_eager"):
        decoder = SlotDecoder(MODEL, 2, 16, Decoding(static=True, compiler=compiler))
        decoder.extend(0, rows[:4].numpy())
        found.append([decoder.step({0: row(rows, at)}, {0: BOTH})[0] for at in range(4, 12)])
    for eager, compiled in zip(*found, strict=True):
        for channel in CHANNELS:
            close(compiled[channel], eager[channel])


def test_slot_that_was_cleared_knows_nothing_of_its_past() -> None:
    decoder = SlotDecoder(MODEL, 1, 32)
    rows = random_rows(MODEL.config, 9, 2).numpy()

    def last() -> Tensor:
        decoder.extend(0, rows)
        return torch.cat([decoder.logits(0, channel)[0] for channel in CHANNELS])

    first = last()
    decoder.keep(0, np.zeros((0, 2), np.int64))
    decoder.extend(0, random_rows(MODEL.config, 20, 8).numpy())
    decoder.keep(0, np.zeros((0, 2), np.int64))
    assert torch.equal(first, last())


def test_joined_weights_are_the_models_own_and_leave_it_as_it_was() -> None:
    rows, model = random_rows(MODEL.config, 9, 2), small_model(seed=5)
    before = {name: w.clone() for name, w in model.state_dict().items()}
    for inference in (True, False):
        with torch.inference_mode(inference):
            SlotDecoder(model, 1, 16).extend(0, rows.numpy())
    model(rows[None]).audio_BTV.sum().backward()
    after = model.state_dict()
    assert all(torch.equal(w, after[name]) for name, w in before.items())
    storages = {w.untyped_storage().data_ptr() for w in model.parameters()}
    n_layers = 2 + 2 * 1
    assert len(storages) == len(before) - 3 * n_layers  # q, k, v as one; gate and up as one


def test_slot_beyond_its_capacity_and_settings_without_sense_are_refused() -> None:
    decoder = SlotDecoder(MODEL, 1, 8)
    with pytest.raises(ValueError, match="would have 9 rows, must be at most 8"):
        decoder.extend(0, np.zeros((9, 2), np.int64))
    decoder.extend(0, np.zeros((8, 2), np.int64))
    with pytest.raises(ValueError, match="slot 0 is full: 8 rows"):
        decoder.step({0: (1, 1)}, {0: BOTH})
    with pytest.raises(ValueError, match=r"capacity is 600 rows, must be 1\.\.512"):
        SlotDecoder(MODEL, 1, 600)
    with pytest.raises(ValueError, match="needs static"):
        Decoding(compiler="inductor")
    with pytest.raises(ValueError, match="chunk_rows is 0"):
        Decoding(chunk_rows=0)
