"""Whether a candidate is no worse than the champion, on the items that both were asked.

The difference of each item's values is averaged; its interval comes from the paired bootstrap of
`evaluation.statistics`, which draws whole facts and whole voices.
"""

import math

from moss_speech.catalogue.promotions import GateResult
from moss_speech.catalogue.verdict_items import Pairs
from moss_speech.evaluation.statistics import Estimate, Sampling, mean
from moss_speech.params.gates import NoWorse

_SEED = 0
"""Equal items give equal intervals: a decision can be computed again."""


def difference(pairs: Pairs, p: NoWorse) -> Estimate:
    """Candidate minus champion over their common items."""
    clusters = [[new.fact for _, new in pairs.common], [new.voice for _, new in pairs.common]]
    values = [new.value - old.value for old, new in pairs.common]
    return mean(values, clusters, Sampling(p.resamples, p.confidence, _SEED))


def no_worse(name: str, pairs: Pairs, champion: int, p: NoWorse) -> GateResult:
    """Compare one figure; `champion` is the version that it is compared with."""
    gate, against = f"{name} no worse", f"{name} against version {champion}"
    if not pairs.common and not pairs.differ:
        said = f"{against}: no items are recorded for either; register both with their reports"
        return GateResult(gate, False, said, {"n": 0, "margin": p.margin})
    if pairs.differ:
        said = (
            f"{against}: {pairs.n_other} items differ and {len(pairs.common)} are the same: they "
            f"were asked other test data; `moss-speech judge {champion}` asks the champion yours"
        )
        figures = {"n": len(pairs.common), "n_other": pairs.n_other, "margin": p.margin}
        return GateResult(gate, False, said, figures)
    found = difference(pairs, p)
    wrong = _wrong(found, p.margin)
    interval = f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}, n {found.n})"
    said = f"{against}: {interval}, must stay above {-p.margin:+.3f}"
    figures = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    said += f"; {wrong}" if wrong else ""
    return GateResult(gate, not wrong, said, figures | {"margin": p.margin})


def first_champion(name: str) -> GateResult:
    """The same gate where there is no champion yet."""
    return GateResult(f"{name} no worse", True, f"{name}: no champion yet, nothing to compare", {})


def _wrong(found: Estimate, margin: float) -> str:
    """Why the difference does not do; empty if it does."""
    half = (found.high - found.low) / 2
    if found.high < -margin:
        return "it is worse"
    if half > margin:
        enough = math.ceil(found.n * (half / margin) ** 2)
        return (
            f"not enough items: the interval's half-width {half:.3f} exceeds the margin "
            f"{margin:.3f}, about {enough} items would decide"
        )
    return "it may be worse" if found.low <= -margin else ""
