"""Gates over figures and rights: what a candidate reached, compared with what it must reach."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from moss_speech.card import Card
from moss_speech.catalogue.data import SourceFacts
from moss_speech.catalogue.promotions import GateResult
from moss_speech.params.gates import Gates

UNDECLARED = ("", "undeclared", "unknown")
"""What stands for a licence or consent that nobody declared."""


def _limit(name: str, value: float | None, limit: float, is_floor: bool) -> GateResult:
    """A missing figure is never met, nor is one that is no number."""
    words = "at least" if is_floor else "at most"
    met = value is not None and (value >= limit if is_floor else value <= limit)
    shown = "missing" if value is None else f"{value:.3f}"
    said = f"{name} is {shown}, must be {words} {limit:.3f}"
    return GateResult(f"{name} {words}", met, said, {"value": value, "limit": limit})


def derived(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures with those that follow from them: `text.lost`, what typed questions lost."""
    found = dict(figures)
    if "text.before" in found and "text.after" in found:
        found["text.lost"] = found["text.before"] - found["text.after"]
    return found


def check_figures(figures: Mapping[str, float], gates: Gates) -> list[GateResult]:
    """Compare the figures of a bundle with every floor and ceiling, in the order of the params."""
    values = derived(figures)
    floors = [_limit(n, values.get(n), limit, True) for n, limit in gates.at_least.items()]
    return floors + [_limit(n, values.get(n), limit, False) for n, limit in gates.at_most.items()]


def check_sources(sources: Sequence[SourceFacts] | None, gates: Gates) -> GateResult:
    """Whether licence and consent of all data are declared; None if no data is recorded."""
    if sources is None:
        lacking = ["no data is recorded for it"]
    else:
        lacking = [
            f"source {source.name} has no {what}"
            for source in sources
            for what in ("licence", "consent")
            if getattr(source, what).strip().lower() in UNDECLARED
        ]
    said = "; ".join(lacking) or f"{len(sources or [])} sources have licence and consent"
    return _switched("sources", lacking, said, "undeclared_sources", gates)


def check_weights(card: Card, gates: Gates) -> GateResult:
    """Whether the weights that it was made from have a licence."""
    lacking = [] if card.about.unlicensed is None else [card.about.unlicensed]
    said = f"weights {lacking[0]} have no licence" if lacking else "no weights without a licence"
    return _switched("weights", lacking, said, "unlicensed_weights", gates)


def _switched(
    gate: str, lacking: Sequence[str], said: str, switch: str, gates: Gates
) -> GateResult:
    """A gate that a switch of the params opens; who opened it is told in the words."""
    allowed = getattr(gates, switch) == "allowed"
    if lacking:
        said += f" (gates.{switch} is {getattr(gates, switch)})"
    return GateResult(gate, allowed or not lacking, said, {"lacking": list(lacking)})


def shortfall(results: Sequence[GateResult]) -> str:
    """The gates that are not met in one line; empty if all are."""
    return "; ".join(str(result) for result in results if not result.met)


def may_register(gates: Gates, root: Path) -> bool:
    """Whether models made with these params may enter the registry of this project root."""
    temporary = Path(tempfile.gettempdir()).resolve()
    return gates.register_in == "any_root" or root.resolve().is_relative_to(temporary)
