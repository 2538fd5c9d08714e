"""Generation with caches: equal to whole passes, alone and beside others."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.lm.sampling import Sampling
from moss_speech.lm.stream import Session, SlotDecoder, generate
from tests.lm.small import random_rows, small_model

MODEL = small_model(n_tail=2)
SAMPLED = Sampling(1.0, 0, 1.0, 1.1)


def prompt(n_rows: int, seed: int) -> np.ndarray:
    return random_rows(MODEL.config, n_rows, seed).numpy()


@settings(max_examples=6, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 99)), min_size=2, max_size=4))
def test_cached_rows_equal_a_whole_pass_at_any_positions(slots: list[tuple[int, int]]) -> None:
    rows = [random_rows(MODEL.config, n + 4, seed) for n, seed in slots]
    decoder = SlotDecoder(MODEL, len(rows), 32)
    for slot, (n, _) in enumerate(slots):
        decoder.prefill(slot, rows[slot][:n].numpy())
    everyone = torch.ones(len(rows), dtype=torch.bool)
    for step in range(4):
        following = [r[n + step] for r, (n, _) in zip(rows, slots, strict=True)]
        logits = decoder.step(torch.stack(following), everyone)
        for slot, (n, _) in enumerate(slots):
            whole = MODEL(rows[slot][None, : n + step + 1])
            for have, want in (
                (logits.text_BTV[slot], whole.text_BTV[0, -1]),
                (logits.audio_BTV[slot], whole.audio_BTV[0, -1]),
            ):
                torch.testing.assert_close(have, want, rtol=0, atol=1e-4 * float(want.abs().max()))


def test_neighbours_do_not_change_a_slots_bits() -> None:
    rows = random_rows(MODEL.config, 12, seed=1)

    def logits(neighbour: int, active: bool) -> torch.Tensor:
        decoder = SlotDecoder(MODEL, 3, 32)
        decoder.prefill(1, rows[:10].numpy())
        for slot in (0, 2):
            decoder.prefill(slot, prompt(5 + neighbour, seed=neighbour + slot))
        beside = random_rows(MODEL.config, 3, seed=neighbour)
        for row in rows[10:]:
            beside[1] = row
            out = decoder.step(beside, torch.tensor([active, True, active]))
        return torch.cat((out.text_BTV[1], out.audio_BTV[1]))

    assert torch.equal(logits(3, True), logits(20, True))
    assert torch.equal(logits(3, True), logits(3, False))


def test_session_yields_the_rows_of_generate() -> None:
    ask = prompt(9, seed=3)
    (whole,) = generate(MODEL, [ask], SAMPLED, [5], max_rows=25)
    session = Session(MODEL, ask, SAMPLED, 5, max_rows=25)
    rows = [(row.text, row.audio) for row in session]
    assert rows == [tuple(row) for row in whole.rows_TC.tolist()]
    assert session.finish().codes == whole.codes


def test_request_in_a_batch_gives_its_own_rows_whoever_is_beside_it() -> None:
    asks = [prompt(9, 3), prompt(14, 4), prompt(6, 5)]
    together = generate(MODEL, asks, SAMPLED, [5, 6, 7], max_rows=20)
    others = generate(MODEL, [asks[0], asks[2], asks[1]], SAMPLED, [5, 9, 9], max_rows=20)
    assert (together[0].rows_TC == others[0].rows_TC).all()


def test_stop_is_told_from_the_row_limit() -> None:
    (reply,) = generate(MODEL, [prompt(5, 8)], SAMPLED, [1], max_rows=1)
    ids = MODEL.config.ids
    assert reply.stopped == (reply.rows_TC[-1, 0] in (ids.pad, ids.im_end))
    assert len(reply.rows_TC) == 1


def test_reply_beyond_the_models_positions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"need 605 rows \(5 \+ 600\), must be at most 512"):
        generate(MODEL, [prompt(5, 1)], SAMPLED, [1], max_rows=600)
    with pytest.raises(ValueError, match="2 seeds, must be 1"):
        generate(MODEL, [prompt(5, 1)], SAMPLED, [1, 2], max_rows=6)
