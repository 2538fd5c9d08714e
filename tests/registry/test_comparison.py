"""A candidate against the champion, item by item: by hand, by another computation, by property."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version
from moss_speech.catalogue.verdict_items import ItemFacts, last_items, pair
from moss_speech.params.gates import NoWorse
from moss_speech.registry.comparison import difference, no_worse
from moss_speech.registry.versions import register_candidate
from tests.registry.candidates import GOOD, make_candidate, promote, write_report

P = NoWorse(figures=["s2s"], margin=0.1, confidence=0.95, resamples=2000)


def items(values: list[float], asked: str = "a", n_voices: int = 4) -> dict[str, ItemFacts]:
    return {
        f"i{n:03d}": ItemFacts("s2s", f"i{n:03d}", f"f{n}", f"v{n % n_voices}", asked, value)
        for n, value in enumerate(values)
    }


def test_equal_answers_to_enough_facts_pass_with_an_interval_of_nothing() -> None:
    values = [1.0, 0.0, 0.5, 1.0] * 10
    result = no_worse("s2s", pair(items(values), items(values)), 3, P)
    assert result.met
    assert (result.figures["low"], result.figures["high"], result.figures["n"]) == (0.0, 0.0, 40)


@pytest.mark.parametrize("margin", [0.03, 0.12, 0.6])
def test_fewest_facts_that_pass_are_those_of_the_binomial_and_of_the_message(margin: float) -> None:
    """As many as find a share of `margin` of changed answers with 95 %: 99, 24 and 4."""
    p = P.model_copy(update={"margin": margin})
    n_facts = next(n for n in range(1, 200) if (1 - margin) ** n <= 0.05)
    enough, few = items([1.0] * n_facts), items([1.0] * (n_facts - 1))
    assert no_worse("s2s", pair(enough, enough), 3, p).met
    refused = no_worse("s2s", pair(few, few), 3, p)
    assert not refused.met
    assert f"not enough items: of {n_facts - 1} facts" in str(refused)
    assert str(refused).endswith(f"at least {n_facts} facts would do")


def test_many_items_of_one_fact_decide_nothing() -> None:
    """The bootstrap has one fact and one voice to draw from, so its interval has no width."""
    old = {n: replace(i, fact="f") for n, i in items([1.0] * 40, n_voices=1).items()}
    new = {n: replace(i, value=float(n != "i007")) for n, i in old.items()}
    result = no_worse("s2s", pair(old, new), 3, P)
    assert result.figures["high"] == result.figures["low"]
    assert not result.met
    assert "not enough items: of 1 facts a share of 0.950 can change unseen" in str(result)


def test_interval_is_that_of_resampling_facts_and_voices_one_by_one() -> None:
    rng = np.random.default_rng(5)
    old, new = (list(rng.integers(0, 2, 60).astype(float)) for _ in range(2))
    pairs = pair(items(old), items(new))
    found = difference(pairs, P)
    lost = {(n.fact, n.voice): n.value - o.value for o, n in pairs.common}
    facts, voices = sorted({f for f, _ in lost}), sorted({v for _, v in lost})
    drawn = []
    for _ in range(2000):
        times_f = dict.fromkeys(facts, 0)
        times_v = dict.fromkeys(voices, 0)
        for f in rng.choice(facts, len(facts)):
            times_f[f] += 1
        for v in rng.choice(voices, len(voices)):
            times_v[v] += 1
        weights = {key: times_f[key[0]] * times_v[key[1]] for key in lost}
        if total := sum(weights.values()):
            drawn.append(sum(weights[key] * lost[key] for key in lost) / total)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.value == pytest.approx(np.mean(list(lost.values())))
    assert found.low == pytest.approx(low, abs=0.04)
    assert found.high == pytest.approx(high, abs=0.04)


def test_surely_worse_perhaps_worse_and_undecided_are_told_apart() -> None:
    n = 400
    one_voice = {"n_voices": 1}
    good, worse = items([1.0] * n, **one_voice), items([1.0, 0.0] * (n // 2), **one_voice)
    assert str(no_worse("s2s", pair(good, worse), 3, P)).endswith("; it is worse")
    slightly = items([0.0] * 36 + [1.0] * (n - 36), **one_voice)
    assert str(no_worse("s2s", pair(good, slightly), 3, P)).endswith("; it may be worse")
    few, fewer = items([1.0, 0.0] * 15), items([0.0, 1.0] * 15)
    undecided = no_worse("s2s", pair(few, fewer), 3, P)
    assert not undecided.met
    assert "not enough items: the interval's half-width" in str(undecided)


def test_items_needed_grow_with_the_square_of_the_missing_width() -> None:
    few, fewer = items([1.0, 0.0] * 15), items([0.0, 1.0] * 15)
    pairs = pair(few, fewer)
    found = difference(pairs, P)
    wanted = np.ceil(30 * ((found.high - found.low) / 2 / P.margin) ** 2)
    assert f"about {wanted:.0f} items would decide" in str(no_worse("s2s", pairs, 3, P))


def test_other_questions_and_other_items_cannot_be_compared() -> None:
    old = items([1.0] * 20)
    reworded = no_worse("s2s", pair(old, items([1.0] * 20, asked="b")), 3, P)
    assert not reworded.met
    assert "20 items differ and 0 are the same: they were asked other test data" in str(reworded)
    fewer = no_worse("s2s", pair(old, items([1.0] * 18)), 3, P)
    assert not fewer.met
    assert "2 items differ and 18 are the same" in str(fewer)
    assert not no_worse("s2s", pair({}, {}), 3, P).met, "nothing says nothing"


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])),
        min_size=2,
        max_size=40,
    ),
    st.sampled_from([0.1, 0.5]),
)
def test_what_passes_is_decided_and_above_the_margin_and_swapping_mirrors_it(
    values: list[tuple[float, float]], margin: float
) -> None:
    old, new = items([o for o, _ in values]), items([n for _, n in values])
    p = P.model_copy(update={"resamples": 200, "margin": margin})
    result, mirrored = no_worse("s2s", pair(old, new), 3, p), difference(pair(new, old), p)
    f = result.figures
    decided = (f["high"] - f["low"]) / 2 <= margin and (1 - margin) ** len(values) <= 0.05
    assert result.met == (decided and f["low"] > -margin)
    assert (f["low"], f["high"]) == pytest.approx((-mirrored.high, -mirrored.low))


@pytest.mark.usefixtures("store")
def test_candidate_that_lost_items_is_refused_and_an_equal_one_passes() -> None:
    first = register_candidate(make_candidate("first"))
    promote(first, "anna")
    worse = register_candidate(make_candidate("worse", GOOD, [0.0] * 8))
    decision = promote(worse, "anna")
    assert decision.result == "refused"
    assert "s2s against version 1: -1.000 (-1.000 to -1.000, n 8)" in decision.reason
    assert promote(register_candidate(make_candidate("equal")), "anna").result == "committed"


@pytest.mark.usefixtures("store")
def test_newest_evaluation_of_the_champion_counts() -> None:
    """The champion that was asked other questions is asked the new ones, then compared."""
    made = make_candidate("first")
    first = register_candidate(made)
    promote(first, "anna")
    other = make_candidate("second")
    write_report(other.report, [1.0] * 8, question="who")
    second = register_candidate(other)
    assert "8 items differ and 0 are the same" in promote(second, "anna").reason
    write_report(made.report, [0.5] * 8, question="who")
    assert register_candidate(made) == first
    with catalogue() as session:
        found = last_items(session, find_version(session, first).digest, "s2s")
    assert {item.value for item in found.values()} == {0.5}
    assert promote(second, "anna").result == "committed"
