"""What every gate says of a registered version: figures, champion, rights, trial."""

from dataclasses import dataclass
from pathlib import Path

from moss_speech.card import read_card
from moss_speech.catalogue.data import SourceFacts, facts_of
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version, last_evaluation
from moss_speech.catalogue.promotions import GateResult
from moss_speech.catalogue.tables import ModelVersion, Promotion
from moss_speech.catalogue.verdict_items import Pairs, last_items, pair
from moss_speech.params.gates import Gates
from moss_speech.registry.comparison import first_champion, no_worse
from moss_speech.registry.gates import check_figures, check_sources, check_weights
from moss_speech.registry.trial import try_bundle
from moss_speech.registry.versions import bundle_of
from moss_speech.registry.withdrawing import withdrawal_reason


@dataclass(frozen=True)
class Trial:
    """What became of opening a bundle and asking it."""

    result: GateResult
    figures: dict[str, float]
    """Latency of its answer, for an evaluation that measured none."""


def try_version(version: int, gates: Gates) -> Trial:
    """Open and ask a version's bundle; takes long, so it is done before the lock is taken."""
    with catalogue() as session:
        found = find_version(session, version)
    try:
        figures = try_bundle(bundle_of(found), gates.answers_within_s)
    except ValueError as error:
        return Trial(GateResult("bundle", False, str(error), {}), {})
    return Trial(GateResult("bundle", True, "the bundle opens and answers", dict(figures)), figures)


def judge(promotion: Promotion, gates: Gates, trial: Trial) -> list[GateResult]:
    """Every gate's result, in the order: figures, champion, rights, bundle.

    A bundle that is not what was registered is told alone: nothing else is known of it.
    """
    with catalogue() as session:
        version = find_version(session, promotion.new_version)
        reached = {
            name: row.value for name, row in last_evaluation(session, version.digest).items()
        }
        sources = facts_of(session, version.dataset_id)
    if isinstance(folder := whole_bundle(version), GateResult):
        return [folder]
    return [
        *check_figures(trial.figures | reached, gates),
        *_compared(promotion, gates),
        *_rights(folder, sources, gates),
        consent_to(version.version),
        trial.result,
    ]


def whole_bundle(version: ModelVersion) -> Path | GateResult:
    """The bundle's folder, or why it is not what was registered."""
    try:
        return bundle_of(version)
    except ValueError as error:
        return GateResult("bundle", False, str(error), {})


def consent_to(version: int) -> GateResult:
    """Whether nobody whom a version heard has withdrawn consent since."""
    gone = withdrawal_reason(version)
    return GateResult("consent", not gone, gone or "nobody that it heard withdrew consent", {})


def _rights(folder: Path, sources: list[SourceFacts] | None, gates: Gates) -> list[GateResult]:
    try:
        card = read_card(folder)
    except ValueError as error:
        return [GateResult("weights", False, str(error), {})]
    return [check_sources(sources, gates), check_weights(card, gates)]


def _compared(promotion: Promotion, gates: Gates) -> list[GateResult]:
    p, champion = gates.no_worse, promotion.old_version
    if champion is None:
        return [first_champion(name) for name in p.figures]
    return [no_worse(name, _pairs(promotion, name), champion, p) for name in p.figures]


def _pairs(promotion: Promotion, figure: str) -> Pairs:
    assert promotion.old_version is not None
    with catalogue() as session:
        old = find_version(session, promotion.old_version)
        return pair(
            last_items(session, old.digest, figure), last_items(session, promotion.digest, figure)
        )
