"""Requests that join, step together and leave at any row."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.lm.batch import Batch, Request, Seat
from moss_speech.lm.sampling import GREEDY, Sampling
from moss_speech.lm.slots import Decoding
from moss_speech.lm.stream import generate
from tests.lm.small import few_ids_model, random_rows, small_model

MODEL = small_model(n_tail=2)
SAMPLED = Sampling(1.0, 0, 1.0, 1.1)


def prompt(n_rows: int, seed: int) -> np.ndarray:
    return random_rows(MODEL.config, n_rows, seed).numpy()


def test_deferred_tails_choose_the_rows_that_running_both_on_every_row_chooses() -> None:
    model, switches, compared = few_ids_model(), 0, 0
    draw = np.random.default_rng(0)
    prompts = [
        np.stack((draw.integers(3, 24, 8), draw.integers(0, 7, 8)), 1).astype(np.int64)
        for _ in range(200)
    ]
    hot = Sampling(10.0, 0, 1.0, 1.3)
    seeds = list(range(200))
    deferred = generate(model, prompts, hot, seeds, 40, Decoding(chunk_rows=3))
    published = generate(model, prompts, hot, seeds, 40, Decoding(defer=False))
    for have, want in zip(deferred, published, strict=True):
        spoken = want.rows_TC[:, 0] == model.config.ids.modality_pad
        assert (have.rows_TC[:, 0] == want.rows_TC[:, 0]).all()
        assert (have.rows_TC[spoken] == want.rows_TC[spoken]).all()
        switches += int((spoken[1:] != spoken[:-1]).sum())
        compared += len(spoken)
    print(f"{compared} rows with {switches} switches of the mode")
    assert switches > 60 and compared > 300


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), chunk_rows=st.sampled_from([2, 5, 512]))
def test_requests_that_come_and_go_at_any_row_give_the_rows_they_give_alone(
    seed: int, chunk_rows: int
) -> None:
    draw, how = random.Random(seed), Decoding(chunk_rows=chunk_rows)
    batch = Batch(MODEL, 3, 64, how)
    jobs = [(prompt(draw.randint(1, 15), seed + k), draw.randint(1, 12), k) for k in range(7)]
    waiting, going, cancelled = list(jobs), {}, []
    finished: dict[int, Request] = {}
    while waiting or batch.busy:
        if waiting and batch.free_slots and draw.random() < 0.7:
            ask, max_rows, k = waiting.pop()
            going[k] = finished[k] = batch.join(ask, SAMPLED, k, max_rows)
        if going and draw.random() < 0.1:
            k, request = going.popitem()
            batch.cancel(request)
            cancelled.append(k)
        for request, row in batch.step():
            if row.last:
                going = {k: r for k, r in going.items() if r is not request}
    assert batch.free_slots == 3
    for ask, max_rows, k in jobs:
        alone = Batch(MODEL, 3, 64, how)
        request = alone.join(ask, SAMPLED, k, max_rows)
        while alone.busy:
            alone.step()
        have, want = finished[k].finish().rows_TC, request.finish().rows_TC
        assert (have == want[: len(have)]).all()
        assert k in cancelled or len(have) == len(want)


def test_cancelling_frees_the_slot_at_once() -> None:
    batch = Batch(MODEL, 1, 64)
    first = batch.join(prompt(5, 1), GREEDY, 0, 9)
    with pytest.raises(ValueError, match="1 requests are under way, no slot is free"):
        batch.join(prompt(5, 2), GREEDY, 0, 9)
    batch.step()
    batch.cancel(first)
    batch.cancel(first)
    assert batch.free_slots == 1 and not batch.busy
    second = batch.join(prompt(7, 2), GREEDY, 0, 9)
    while batch.busy:
        batch.step()
    (alone,) = generate(MODEL, [prompt(7, 2)], GREEDY, [0], 9)
    assert (second.finish().rows_TC == alone.rows_TC).all()


def test_a_long_prompt_does_not_hold_up_those_who_speak() -> None:
    batch = Batch(MODEL, 2, 256, Decoding(chunk_rows=8))
    speaking = batch.join(prompt(3, 1), GREEDY, 0, 40)
    batch.step()
    batch.join(prompt(100, 2), GREEDY, 0, 5)
    came = [[request for request, _ in batch.step()] for _ in range(12)]
    if not speaking.reply.done:
        assert all(requests == [speaking] for requests in came)
    assert len(batch.step()) == 1 + (not speaking.reply.done)


def reply(
    batch: Batch, ask: np.ndarray, max_rows: int, seat: Seat | None = None
) -> list[list[int]]:
    request = batch.join(ask, SAMPLED, 5, max_rows, seat)
    while not request.reply.done:
        batch.step()
    return request.finish().rows_TC.tolist()


def test_kept_seat_reads_only_what_is_new_and_answers_as_a_fresh_one() -> None:
    batch, rows = Batch(MODEL, 2, 256), list(prompt(9, 3))
    seat, n_read = batch.take(), 0
    extend = batch._decoder.extend

    def counted(slot: int, rows_TC: np.ndarray) -> None:
        nonlocal n_read
        n_read += len(rows_TC)
        extend(slot, rows_TC)

    batch._decoder.extend = counted  # type: ignore[method-assign]
    for turn in range(4):
        before = n_read
        said = reply(batch, np.array(rows), 12, seat)
        assert n_read - before <= (9 if turn == 0 else 8), "the past was read again"
        (alone,) = generate(MODEL, [np.array(rows)], SAMPLED, [5], 12)
        assert said == alone.rows_TC.tolist()
        rows += [np.array(row) for row in said] + list(prompt(6, 40 + turn))
    batch.give(seat)
    assert batch.free_slots == 2


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), chunk_rows=st.sampled_from([3, 512]))
def test_seat_whose_past_is_cut_or_changed_answers_as_a_fresh_one(
    seed: int, chunk_rows: int
) -> None:
    draw, how = random.Random(seed), Decoding(chunk_rows=chunk_rows)
    batch = Batch(MODEL, 2, 128, how)
    seat, rows = batch.take(), prompt(draw.randint(1, 20), seed)
    for turn in range(4):
        while draw.random() < 0.7:
            batch.prepare(seat, rows[: draw.randint(1, len(rows))])
        (alone,) = generate(MODEL, [rows], GREEDY, [5], 8, how)
        request = batch.join(rows, GREEDY, 5, 8, seat)
        for _ in range(draw.randint(0, 40)):
            batch.step()
        batch.cancel(request)
        said = request.finish().rows_TC
        assert (said == alone.rows_TC[: len(said)]).all()
        heard = draw.randint(0, len(said))
        more = prompt(draw.randint(1, 9), seed + turn + 1)
        rows = np.concatenate((rows[: draw.randint(1, len(rows))], said[:heard], more))


def test_paused_requests_stay_where_they_are() -> None:
    batch = Batch(MODEL, 2, 64)
    first, second = (batch.join(prompt(5, k), GREEDY, 0, 30) for k in (1, 2))
    batch.step(n_chunks=2)
    for _ in range(3):
        assert [request for request, _ in batch.step(paused=[first])] == [second]
    assert len(first.reply.rows) == 1


def test_request_in_a_batch_gives_its_own_rows_whoever_is_beside_it() -> None:
    asks = [prompt(9, 3), prompt(14, 4), prompt(6, 5)]
    together = generate(MODEL, asks, SAMPLED, [5, 6, 7], max_rows=20)
    others = generate(MODEL, [asks[0], asks[2], asks[1]], SAMPLED, [5, 9, 9], max_rows=20)
    assert (together[0].rows_TC == others[0].rows_TC).all()


def test_more_prompts_than_slots_are_all_answered_in_order() -> None:
    asks = [prompt(3 + k % 5, k) for k in range(40)]
    many = generate(MODEL, asks, SAMPLED, list(range(40)), max_rows=6)
    for k in (0, 31, 32, 39):
        assert len(many[k].rows_TC) <= 6
    again = generate(MODEL, asks[8:], SAMPLED, list(range(8, 40)), max_rows=6)
    assert (many[39].rows_TC == again[31].rows_TC).all()


def test_stop_is_told_from_the_row_limit() -> None:
    (reply,) = generate(MODEL, [prompt(5, 8)], SAMPLED, [1], max_rows=1)
    ids = MODEL.config.ids
    assert reply.stopped == (reply.rows_TC[-1, 0] in (ids.pad, ids.im_end))
    assert len(reply.rows_TC) == 1


def test_requests_that_cannot_be_answered_are_refused_with_their_values() -> None:
    ask = prompt(5, 1)
    with pytest.raises(ValueError, match=r"need 605 rows \(5 \+ 600\), must be at most 512"):
        generate(MODEL, [ask], SAMPLED, [1], max_rows=600)
    with pytest.raises(ValueError, match="2 seeds, must be 1"):
        generate(MODEL, [ask], SAMPLED, [1, 2], max_rows=6)
    with pytest.raises(ValueError, match="seed is -1"):
        generate(MODEL, [ask], SAMPLED, [-1], max_rows=6)
    limit = MODEL.config.audio_vocab_size
    outside = np.array([(7, limit)])
    with pytest.raises(ValueError, match=f"speech id {limit}, must be 0..{limit - 1}"):
        generate(MODEL, [outside], SAMPLED, [1], max_rows=6)
