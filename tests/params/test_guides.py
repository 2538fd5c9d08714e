"""Values that guides tell people to put into params.yaml."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from moss_speech.params.base import read_yaml, validate_section
from moss_speech.params.sections import Pipeline

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"```yaml\n(.*?)```", (ROOT / "docs" / "guides" / "fine-tune.md").read_text(), re.DOTALL
)


def merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict) and "kind" not in value:
            merge(values[key], value)
        else:
            values[key] = value


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("preset", ["demo", "finetune"])
def test_values_of_the_fine_tuning_guide_fit_the_presets(preset: str, block: str) -> None:
    values = read_yaml(ROOT / "presets" / f"{preset}.yaml")
    before = yaml.safe_dump(values)
    merge(values, yaml.safe_load(block))
    validate_section(values, Pipeline, "guide: ")
    assert yaml.safe_dump(values) != before
    assert len(BLOCKS) == 3


def test_sources_that_the_reference_shows_are_valid() -> None:
    text = (ROOT / "docs" / "reference" / "data-types.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    shown = yaml.safe_load(block)["synthesised"]
    values = read_yaml(ROOT / "presets" / "demo.yaml")
    values["corpus"]["synthesised"] = shown
    read = validate_section(values, Pipeline, "shown: ").corpus.synthesised
    assert [source.kind for source in read] == ["instructions", "texts"]
