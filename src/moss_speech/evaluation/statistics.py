"""Means with bootstrap intervals that respect clusters.

Answers to one fact stand or fall together, and so do answers to one voice. So whole facts and
whole voices are drawn with replacement, both at once; an item weighs the product of how often
its clusters were drawn (Owen 2007, "The pigeonhole bootstrap").

Shapes: N items, R resamples, G clusters of one kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sampling:
    """How an interval is drawn."""

    resamples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval and the number of items behind it."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """`{"value", "ci95": [low, high], "n"}`, rounded so that equal runs give equal bytes."""
        low, high = round(self.low, 4), round(self.high, 4)
        return {"value": round(self.value, 4), "ci95": [low, high], "n": self.n}


def _draws(labels: Sequence[str], resamples: int, rng: np.random.Generator) -> Floats:
    """How often each item's cluster is drawn, [R, N]; the draws of a lone cluster are all 1."""
    names, of_item_N = np.unique(np.asarray(labels), return_inverse=True)
    counts_RG = rng.multinomial(len(names), [1 / len(names)] * len(names), size=resamples)
    return np.asarray(counts_RG[:, of_item_N], dtype=np.float64)


def ratio(
    parts: ArrayLike, wholes: ArrayLike, clusters: Sequence[Sequence[str]], how: Sampling
) -> Estimate:
    """Sum of `parts` over sum of `wholes` with its percentile interval.

    `clusters` names each item's cluster, once for each kind of cluster (fact, voice). Raises
    `ValueError` without items or with wholes that sum to 0.
    """
    parts_N = np.asarray(parts, dtype=np.float64)
    wholes_N = np.asarray(wholes, dtype=np.float64)
    if parts_N.size == 0 or wholes_N.sum() == 0:
        raise ValueError(f"a figure over {parts_N.size} items, must be at least 1 with a size")
    rng = np.random.default_rng(how.seed)
    weights_RN: Floats = np.ones((how.resamples, parts_N.size))
    for labels in clusters:
        weights_RN *= _draws(labels, how.resamples, rng)
    below_R = weights_RN @ wholes_N
    drawn_R = (weights_RN @ parts_N)[below_R > 0] / below_R[below_R > 0]
    tail = (1 - how.confidence) / 2
    low, high = np.quantile(drawn_R, [tail, 1 - tail])
    value = float(parts_N.sum() / wholes_N.sum())
    return Estimate(value, min(float(low), value), max(float(high), value), int(parts_N.size))


def mean(values: ArrayLike, clusters: Sequence[Sequence[str]], how: Sampling) -> Estimate:
    """Mean of `values` with its percentile interval; see `ratio`."""
    return ratio(values, np.ones_like(np.asarray(values, dtype=np.float64)), clusters, how)
