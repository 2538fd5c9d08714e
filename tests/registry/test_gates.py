"""Floors of a candidate, and where a preset may register."""

import tempfile
from pathlib import Path

import pytest

from moss_speech.params.base import load_section
from moss_speech.params.gates import Gates
from moss_speech.registry.gates import check_gates, may_register, shortfall

ROOT = Path(__file__).parents[2]
GATES = Gates(approval="automatic", register_in="any_root", at_least={"s2s": 0.8, "t2t": 0.95})


def test_figure_at_its_floor_is_met_and_below_is_not() -> None:
    at_floor, below = check_gates({"s2s": 0.8, "t2t": 0.9499}, GATES)
    assert (at_floor.met, below.met) == (True, False)


def test_missing_or_undefined_figure_is_not_met() -> None:
    results = check_gates({"t2t": float("nan")}, GATES)
    assert [result.met for result in results] == [False, False]


def test_shortfall_names_figure_value_and_floor_of_unmet_gates_only() -> None:
    assert shortfall(check_gates({"s2s": 0.7}, GATES)) == (
        "s2s is 0.700, must be at least 0.800; t2t is missing, must be at least 0.950"
    )
    assert shortfall(check_gates({"s2s": 1.0, "t2t": 1.0}, GATES)) == ""


@pytest.mark.parametrize("preset", ["tiny", "demo", "finetune", "paper"])
def test_every_preset_has_valid_gates(preset: str) -> None:
    load_section(ROOT / f"presets/{preset}.yaml", "gates", Gates)


def test_tiny_registers_only_below_the_temporary_folder(tmp_path: Path) -> None:
    tiny = load_section(ROOT / "presets/tiny.yaml", "gates", Gates)
    demo = load_section(ROOT / "presets/demo.yaml", "gates", Gates)
    temporary = Path(tempfile.gettempdir()) / "root"
    assert may_register(tiny, temporary)
    assert not may_register(tiny, Path("/home/anna/moss"))
    assert may_register(demo, Path("/home/anna/moss"))


def test_floor_above_one_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("gates: {approval: automatic, register_in: any_root, at_least: {s2s: 1.2}}\n")
    with pytest.raises(ValueError, match=r"gates.at_least.s2s is 1.2: .* less than or equal to 1"):
        load_section(file, "gates", Gates)
