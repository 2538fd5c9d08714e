"""Whether values of now come from the distribution of then.

Two rules must both hold. Sure: the two-sample Kolmogorov-Smirnov test (numbers) or a permutation
test of the total variation (categories) has p below `false_alarms` shared out over all figures
(Bonferroni), so that windows without drift raise an alarm in at most that share. Large: the
distance, the greatest gap of the two cumulative distributions or the total variation, reaches
`min_shift`; many values make the smallest change sure.

Shapes: N values, P permutations, C categories.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

PERMUTATIONS = 5000
_AT_ONCE = 500


@dataclass(frozen=True)
class Limits:
    """When a shift is drift."""

    p: float
    """Of one figure: the share of false alarms over the number of figures."""
    distance: float


@dataclass(frozen=True)
class Shift:
    """How far two sets of values lie apart, 0..1, and how likely that is without any drift."""

    distance: float
    p: float

    def drifted(self, limits: Limits) -> bool:
        """Whether both rules hold."""
        return self.p < limits.p and self.distance >= limits.distance


def shift_of_numbers(then: Sequence[float], now: Sequence[float]) -> Shift:
    """Compare numbers; `ValueError` for none or for one that is not finite."""
    for values in (then, now):
        if len(values) == 0 or not np.all(np.isfinite(values)):
            raise ValueError(f"{len(values)} values, must be at least 1, all finite")
    result = ks_2samp(then, now)
    return Shift(float(result.statistic), float(result.pvalue))


def shift_of_categories(then: Sequence[str], now: Sequence[str], seed: int = 0) -> Shift:
    """Compare how often each category occurs; `ValueError` for no values."""
    if not then or not now:
        raise ValueError(f"{len(then)} and {len(now)} values, must be at least 1 each")
    names, index_N = np.unique([*then, *now], return_inverse=True)
    one_hot_NC = np.eye(len(names))[index_N]
    in_then_N = np.arange(len(index_N)) < len(then)
    found = float(_variation(in_then_N[None], one_hot_NC)[0])
    random = np.random.default_rng(seed)
    n_further = 0
    for _ in range(PERMUTATIONS // _AT_ONCE):
        drawn_PN = random.permuted(np.tile(in_then_N, (_AT_ONCE, 1)), axis=1)
        n_further += int((_variation(drawn_PN, one_hot_NC) >= found - 1e-12).sum())
    return Shift(found, (1 + n_further) / (1 + PERMUTATIONS))


def _variation(in_then_PN: np.ndarray, one_hot_NC: np.ndarray) -> np.ndarray:
    """Half the sum of the differences of shares, [P]."""
    then_PC = in_then_PN @ one_hot_NC
    shares = then_PC / then_PC.sum(1, keepdims=True)
    now_PC = one_hot_NC.sum(0) - then_PC
    difference: np.ndarray = np.abs(shares - now_PC / now_PC.sum(1, keepdims=True)).sum(1) / 2
    return difference
