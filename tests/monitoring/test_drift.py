"""The rule of drift: seldom a false alarm, seldom a missed shift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.monitoring.drift import Limits, shift_of_categories, shift_of_numbers
from moss_speech.monitoring.measures import FIGURES, LANGUAGE
from moss_speech.params.base import load_section
from moss_speech.params.monitor import Monitor
from tests.workspace import ROOT

P = load_section(ROOT / "presets" / "demo.yaml", "monitor", Monitor)
LIMITS = Limits(P.false_alarms / len(FIGURES), P.min_shift)
LANGUAGES = ("en", "de", "zh", "unsure")
SHARES = (0.9, 0.05, 0.03, 0.02)


def drifted(then: list[float], now: list[float]) -> bool:
    return shift_of_numbers(then, now).drifted(LIMITS)


def test_windows_without_drift_raise_at_most_the_promised_share_of_alarms() -> None:
    """The preset's limits, references and windows of the preset's smallest sizes."""
    random, n_windows, n_alarms = np.random.default_rng(7), 400, 0
    for _ in range(n_windows):
        alarm = False
        for figure in FIGURES:
            if figure == LANGUAGE:
                then = random.choice(LANGUAGES, P.reference_turns, p=SHARES).tolist()
                now = random.choice(LANGUAGES, P.min_turns, p=SHARES).tolist()
                alarm |= shift_of_categories(then, now).drifted(LIMITS)
            else:
                both = random.lognormal(size=P.reference_turns + P.min_turns).tolist()
                alarm |= drifted(both[P.min_turns :], both[: P.min_turns])
        n_alarms += alarm
    print(f"{n_alarms} of {n_windows} windows without drift raised an alarm")
    assert n_alarms / n_windows <= P.false_alarms


@pytest.mark.parametrize(("size", "least"), [(6.0, 0.99), (3.0, 0.6)])
def test_quieter_questions_are_found(size: float, least: float) -> None:
    """Loudness has a spread of some 4 LU between speakers; a window of the smallest size."""
    random = np.random.default_rng(3)
    found = [
        drifted(
            random.normal(-23, 4, P.reference_turns).tolist(),
            random.normal(-23 - size, 4, P.min_turns).tolist(),
        )
        for _ in range(200)
    ]
    print(f"{np.mean(found):.2f} of windows {size:g} LU quieter are found")
    assert np.mean(found) >= least


def test_new_language_is_found() -> None:
    random = np.random.default_rng(3)
    then = random.choice(LANGUAGES, P.reference_turns, p=SHARES).tolist()
    now = random.choice(LANGUAGES, P.min_turns, p=(0.5, 0.42, 0.05, 0.03)).tolist()
    assert shift_of_categories(then, now).drifted(LIMITS)


def test_small_shift_that_is_sure_is_no_drift() -> None:
    random = np.random.default_rng(3)
    then, now = random.normal(0, 1, 20_000), random.normal(0.1, 1, 20_000)
    shift = shift_of_numbers(then.tolist(), now.tolist())
    assert shift.p < LIMITS.p
    assert not shift.drifted(LIMITS)


def test_distances_worked_out_by_hand() -> None:
    assert shift_of_numbers([1, 2, 3, 4], [3, 4, 5, 6]).distance == pytest.approx(0.5)
    shift = shift_of_categories(["en"] * 3 + ["de"], ["en"] * 2 + ["zh"] * 2)
    assert shift.distance == pytest.approx(0.5)  # en 0.75 to 0.5, de 0.25 to 0, zh 0 to 0.5


def test_p_of_categories_is_the_share_of_permutations_worked_out_by_hand() -> None:
    """Three and three, wholly apart: 2 of the 20 ways to draw three of six are as far."""
    shift = shift_of_categories(["en"] * 3, ["de"] * 3)
    assert shift.distance == 1
    assert shift.p == pytest.approx(0.1, abs=0.02)


@given(st.lists(st.sampled_from(LANGUAGES), min_size=1, max_size=30))
def test_like_is_never_drift(values: list[str]) -> None:
    shift = shift_of_categories(values, values)
    assert shift.distance == 0
    assert shift.p == 1


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), 1.0]])
def test_what_is_no_number_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="all finite"):
        shift_of_numbers([1.0], values)
    with pytest.raises(ValueError, match="all finite"):
        shift_of_numbers(values, [1.0])
