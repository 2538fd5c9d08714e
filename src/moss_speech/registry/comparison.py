"""Whether a candidate is no worse than the champion, on the items that both were asked.

The difference of each item's values is averaged; its interval comes from the paired bootstrap of
`evaluation.statistics`, which draws whole facts and whole voices. It can only draw what was asked:
where no answer changed, or all are of one fact, it has no width. So the width that counts is at
least the share of facts that can change without one of those that were asked (rule of three).
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
    found, n_facts = difference(pairs, p), len({new.fact for _, new in pairs.common})
    wrong = _wrong(found, n_facts, p)
    interval = f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}, n {found.n})"
    said = f"{against}: {interval}, must stay above {-p.margin:+.3f}"
    figures = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    said += f"; {wrong}" if wrong else ""
    return GateResult(gate, not wrong, said, figures | {"n_facts": n_facts, "margin": p.margin})


def unseen(n_facts: int, confidence: float) -> float:
    """The share of facts that may change although none of `n_facts` did: about 3 / n at 95 %."""
    return 1 - float((1 - confidence) ** (1 / n_facts))


def first_champion(name: str) -> GateResult:
    """The same gate where there is no champion yet."""
    return GateResult(f"{name} no worse", True, f"{name}: no champion yet, nothing to compare", {})


def _wrong(found: Estimate, n_facts: int, p: NoWorse) -> str:
    """Why the difference does not do; empty if it does."""
    half, least = (found.high - found.low) / 2, unseen(n_facts, p.confidence)
    if least > p.margin:
        enough = math.ceil(math.log(1 - p.confidence) / math.log(1 - p.margin))
        return (
            f"not enough items: of {n_facts} facts a share of {least:.3f} can change unseen, "
            f"more than the margin {p.margin:.3f}; at least {enough} facts would do"
        )
    if found.high < -p.margin:
        return "it is worse"
    if half > p.margin:
        enough = math.ceil(found.n * (half / p.margin) ** 2)
        return (
            f"not enough items: the interval's half-width {half:.3f} exceeds the margin "
            f"{p.margin:.3f}, about {enough} items would decide"
        )
    return "it may be worse" if found.low <= -p.margin else ""
