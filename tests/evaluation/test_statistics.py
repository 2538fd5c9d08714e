import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.evaluation.statistics import Estimate, Sampling, mean, ratio

HOW = Sampling(resamples=1000, confidence=0.95, seed=0)


def test_mean_of_a_case_by_hand():
    estimate = mean([1, 0.5, 0, 0.5], [["a", "b", "c", "d"]], HOW)
    assert estimate.value == 0.5
    assert estimate.n == 4
    assert 0 <= estimate.low < 0.5 < estimate.high <= 1


def test_ratio_weighs_items_by_their_size():
    estimate = ratio([1, 0], [2, 8], [["a", "b"]], HOW)
    assert estimate.value == pytest.approx(0.1)


def test_one_cluster_alone_gives_no_width():
    estimate = mean([1, 0, 1], [["same"] * 3], HOW)
    assert (estimate.low, estimate.high) == (estimate.value, estimate.value)


def test_clustered_interval_is_wider_when_clusters_agree():
    values = np.repeat([1, 1, 1, 0, 1, 0, 1, 1, 0, 1], 10)
    facts = np.repeat([f"fact{i}" for i in range(10)], 10).tolist()
    items = [str(i) for i in range(100)]
    clustered, naive = mean(values, [facts], HOW), mean(values, [items], HOW)
    assert clustered.high - clustered.low > 2 * (naive.high - naive.low)


def test_voices_widen_an_interval_that_facts_alone_miss():
    rng = np.random.default_rng(0)
    facts = [f"f{i % 25}" for i in range(100)]
    voices = [f"v{i // 25}" for i in range(100)]
    values = [0.0 if v == "v3" else float(rng.random() < 0.95) for v in voices]
    both, facts_only = mean(values, [facts, voices], HOW), mean(values, [facts], HOW)
    assert both.high - both.low > 2 * (facts_only.high - facts_only.low)


def test_intervals_cover_the_truth_about_as_often_as_they_claim():
    rng = np.random.default_rng(1)
    how = Sampling(resamples=400, confidence=0.95, seed=3)
    facts = np.repeat(np.arange(40), 3)
    covered = 0
    for _ in range(200):
        of_fact = rng.beta(4, 1, size=40)  # a fact is easy or hard; mean 0.8
        right = rng.random(120) < of_fact[facts]
        estimate = mean(right, [facts.astype(str).tolist()], how)
        covered += estimate.low <= 0.8 <= estimate.high
    assert 0.88 <= covered / 200 <= 0.99


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30), st.integers(0, 99))
def test_interval_holds_the_value_and_repeats(values, seed):
    clusters = [[str(i % 4) for i in range(len(values))], [str(i % 3) for i in range(len(values))]]
    how = Sampling(resamples=100, confidence=0.9, seed=seed)
    estimate = mean(values, clusters, how)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate == mean(values, clusters, how)


def test_no_items_are_refused_by_name():
    with pytest.raises(ValueError, match="0 items"):
        mean([], [[]], HOW)


def test_json_form_is_what_gates_read():
    assert Estimate(0.91234, 0.8, 0.97, 60).to_json() == {
        "value": 0.9123,
        "ci95": [0.8, 0.97],
        "n": 60,
    }
