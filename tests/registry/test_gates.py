"""Limits of figures, rights of data and weights, and where a preset may register."""

import tempfile
from pathlib import Path

import pytest

from moss_speech.card import Card
from moss_speech.catalogue.data import SourceFacts
from moss_speech.params.base import load_section
from moss_speech.params.gates import Gates
from moss_speech.registry.gates import (
    check_figures,
    check_sources,
    check_weights,
    may_register,
    shortfall,
)
from tests.registry.candidates import GATES as BASE
from tests.tiny_bundle import ABOUT

ROOT = Path(__file__).parents[2]
GATES = BASE.model_copy(update={"at_least": {"s2s": 0.8, "t2t": 0.95}})
DECLARED = SourceFacts("voices", "CC0-1.0", "synthetic", 2)


def test_figure_at_its_floor_is_met_and_below_is_not() -> None:
    at_floor, below = check_figures({"s2s": 0.8, "t2t": 0.9499}, GATES)
    assert (at_floor.met, below.met) == (True, False)


def test_missing_or_undefined_figure_is_not_met() -> None:
    results = check_figures({"t2t": float("nan")}, GATES)
    assert [result.met for result in results] == [False, False]


def test_shortfall_names_figure_value_and_floor_of_unmet_gates_only() -> None:
    assert shortfall(check_figures({"s2s": 0.7}, GATES)) == (
        "s2s is 0.700, must be at least 0.800; t2t is missing, must be at least 0.950"
    )
    assert shortfall(check_figures({"s2s": 1.0, "t2t": 1.0}, GATES)) == ""


def test_ceilings_hold_for_latency_and_for_what_text_lost() -> None:
    ceilings = {"latency.first_audio_s": 0.5, "text.lost": 0.02}
    gates = GATES.model_copy(update={"at_least": {"s2s": 0.8}, "at_most": ceilings})
    reached = {"s2s": 0.8, "latency.first_audio_s": 0.6, "text.before": 0.95, "text.after": 0.94}
    floor, latency, text = check_figures(reached, gates)
    assert (floor.met, latency.met, text.met) == (True, False, True)
    assert str(latency) == "latency.first_audio_s is 0.600, must be at most 0.500"
    assert text.figures["value"] == pytest.approx(0.01)
    (_, _, unknown) = check_figures({"s2s": 1.0, "latency.first_audio_s": 0.1}, gates)
    assert not unknown.met


@pytest.mark.parametrize("missing", ["", "undeclared", "Unknown ", "  "])
@pytest.mark.parametrize("what", ["licence", "consent"])
def test_source_without_licence_or_consent_is_refused_by_name(missing: str, what: str) -> None:
    facts = {"licence": "MIT", "consent": "given"} | {what: missing}
    source = SourceFacts("calls", **facts, n_utterances=3)
    result = check_sources([DECLARED, source], GATES)
    assert not result.met
    assert str(result) == f"source calls has no {what} (gates.undeclared_sources is refused)"
    allowed = GATES.model_copy(update={"undeclared_sources": "allowed"})
    opened = check_sources([source], allowed)
    assert opened.met
    assert str(opened).endswith("(gates.undeclared_sources is allowed)"), "who looks sees it"


def test_version_without_recorded_data_is_refused() -> None:
    assert not check_sources(None, GATES).met
    assert check_sources([DECLARED], GATES).met


def test_weights_without_a_licence_are_refused_unless_allowed() -> None:
    source = {"folder": "weights/released", "accept_unlicensed": True}
    about = ABOUT.model_copy(update={"params": {"init_backbone": {"source": source}}})
    card = Card(format_version=1, about=about, voices=[], files={})
    assert str(check_weights(card, GATES)) == (
        "weights weights/released have no licence (gates.unlicensed_weights is refused)"
    )
    assert not check_weights(card, GATES).met
    assert check_weights(card, GATES.model_copy(update={"unlicensed_weights": "allowed"})).met
    assert check_weights(card.model_copy(update={"about": ABOUT}), GATES).met


@pytest.mark.parametrize("preset", ["tiny", "demo", "finetune", "paper"])
def test_every_preset_has_valid_gates(preset: str) -> None:
    gates = load_section(ROOT / f"presets/{preset}.yaml", "gates", Gates)
    assert (gates.undeclared_sources, gates.unlicensed_weights) == ("refused", "refused")
    if preset in ("finetune", "paper"):
        assert gates.no_worse.margin == 0.03


def test_tiny_registers_only_below_the_temporary_folder(tmp_path: Path) -> None:
    tiny = load_section(ROOT / "presets/tiny.yaml", "gates", Gates)
    demo = load_section(ROOT / "presets/demo.yaml", "gates", Gates)
    temporary = Path(tempfile.gettempdir()) / "root"
    assert may_register(tiny, temporary)
    assert not may_register(tiny, Path("/home/anna/moss"))
    assert may_register(demo, Path("/home/anna/moss"))
