"""Small real corpora for the tests of sources and cleaning."""

from pathlib import Path

import pytest
import torch

from moss_speech.params.base import load_section
from moss_speech.params.clean import Clean
from moss_speech.params.corpus import Corpus, Embedded

torch.set_num_threads(1)  # clips are short: more threads only wait for each other

PRESETS = Path(__file__).parents[2] / "presets"


@pytest.fixture(scope="session")
def demo() -> Embedded:
    """The embedded source as the demo preset has it."""
    embedded = load_section(PRESETS / "demo.yaml", "corpus", Corpus).embedded
    assert embedded is not None
    return embedded


@pytest.fixture(scope="session")
def few(demo: Embedded) -> Embedded:
    """The embedded source with a handful of clips, none of a neural voice."""
    questions = dict.fromkeys(type(demo.questions).model_fields, 0) | {"train": 1, "test_both": 1}
    strings = demo.strings.model_dump() | dict.fromkeys(
        ("salad_train", "salad_dev", "salad_test", "repeat_train", "repeat_dev", "repeat_test"), 0
    )
    values = demo.model_dump() | {
        "categories": ["opposite"],
        "questions": questions,
        "strings": strings,
        "flawed_each": 1,
    }
    return Embedded.model_validate(values)


@pytest.fixture(scope="session")
def cleaning() -> Clean:
    """The demo's cleaning in one process, listening to nothing but doubtful items."""
    p = load_section(PRESETS / "demo.yaml", "clean", Clean)
    return p.model_copy(update={"threads": 1, "sample": 0, "max_reject_share": 1.0})
