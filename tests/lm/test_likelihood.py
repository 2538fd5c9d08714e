"""Log-probabilities of rows against a computation by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.lm.grid import GridWriter
from moss_speech.lm.likelihood import Continuation, Likelihood, likelihoods
from tests.lm.small import N_CODES, small_model, small_tokenizer

MODEL = small_model(n_tail=2)
WRITER = GridWriter(small_tokenizer(), MODEL.config)


def by_hand(continuation):
    """The whole grid alone, one row after the other, exp and sum instead of a library softmax."""
    rows = [*continuation.context_TC.tolist(), *continuation.said_TC.tolist()]
    with torch.inference_mode():
        logits = MODEL(torch.tensor([rows]))
    total = 0.0
    for t in range(len(continuation.context_TC), len(rows)):
        text, audio = rows[t]
        spoken = text == MODEL.config.ids.modality_pad
        scores = (logits.audio_BTV if spoken else logits.text_BTV)[0, t - 1].double()
        top = float(scores.max())
        mass = sum(math.exp(s - top) for s in scores.tolist())
        total += float(scores[audio if spoken else text]) - top - math.log(mass)
    return total


def text(words):
    return WRITER.words(words)


def test_text_rows_equal_log_softmax_by_hand():
    one = Continuation(text("what color is grass"), text("it is green"))
    (found,) = likelihoods(MODEL, [one])
    assert found.log_prob == pytest.approx(by_hand(one), abs=1e-4)
    assert found.n_rows == len(one.said_TC)
    assert found.mean == found.log_prob / found.n_rows


def test_speech_rows_are_judged_by_the_speech_head():
    start = WRITER.text([MODEL.config.ids.im_start, MODEL.config.ids.sosp])
    one = Continuation(start, WRITER.codes([3, 1, 4, 1, 5]))
    (found,) = likelihoods(MODEL, [one])
    assert found.log_prob == pytest.approx(by_hand(one), abs=1e-4)
    assert found.n_rows == 6  # the end of speech is said too


def test_rows_that_change_the_channel_add_up_over_both_heads():
    said = np.concatenate((WRITER.codes([7, 7]), text("green")))
    one = Continuation(WRITER.text([MODEL.config.ids.sosp]), said)
    assert likelihoods(MODEL, [one])[0].log_prob == pytest.approx(by_hand(one), abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 7)), min_size=2, max_size=5),
    seed=st.integers(0, 99),
)
def test_neighbours_and_padding_change_nothing(lengths, seed):
    rng = np.random.default_rng(seed)
    pieces = [
        Continuation(
            WRITER.text(rng.integers(0, 200, context).tolist()),
            WRITER.spoken(rng.integers(0, N_CODES, said).tolist()),
        )
        for context, said in lengths
    ]
    together = likelihoods(MODEL, pieces)
    for one, found in zip(pieces, together, strict=True):
        assert found.log_prob == pytest.approx(likelihoods(MODEL, [one])[0].log_prob, abs=1e-4)
        assert found.log_prob == pytest.approx(by_hand(one), abs=1e-4)


def test_all_speech_rows_that_may_follow_have_probability_one():
    pad = MODEL.config.ids.modality_pad
    rows = [np.array([[pad, i]]) for i in range(MODEL.config.audio_vocab_size)]
    found = likelihoods(MODEL, [Continuation(text("it is"), row) for row in rows])
    assert sum(math.exp(f.log_prob) for f in found) == pytest.approx(1, abs=1e-4)


def test_equal_calls_give_equal_bits():
    pieces = [Continuation(text("it is"), text(w)) for w in ("green", "grass is green")]
    assert likelihoods(MODEL, pieces) == likelihoods(MODEL, pieces)


def test_mean_of_a_case_by_hand():
    assert Likelihood(log_prob=-6.0, n_rows=4).mean == -1.5


def test_nothing_to_judge_is_refused_by_name():
    with pytest.raises(ValueError, match="said_TC holds 0 rows"):
        Continuation(text("it is"), text("")[:0])
    with pytest.raises(ValueError, match="context_TC holds 0 rows"):
        Continuation(text("")[:0], text("it is"))


def test_ids_outside_the_model_are_refused():
    wrong = np.array([[MODEL.config.vocab_size, 0]])
    with pytest.raises(ValueError, match="text id"):
        likelihoods(MODEL, [Continuation(wrong, text("it is"))])


def test_rows_beyond_the_positions_are_refused():
    long = WRITER.text([5] * MODEL.config.max_position_embeddings)
    with pytest.raises(ValueError, match="must be at most 512"):
        likelihoods(MODEL, [Continuation(long, text("it is"))])
