"""What is measured right after training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from moss_speech.corpus.items import Dialogue, Split, Turn, Utterance
from moss_speech.lm.probe import largest_change, text_probe
from moss_speech.training.lm_probe import DevQuestions, cell_of
from tests.lm.small import small_model, small_tokenizer


@pytest.mark.parametrize(
    ("voice", "wording", "cell"),
    [
        ("dev", "train", "voice"),
        ("train", "dev", "wording"),
        ("dev", "dev", "both"),
        ("train", "train", None),
        ("test", "dev", None),
        ("dev", "test", None),
        ("test", "test", None),
    ],
)
def test_cell_of_a_question(voice: Split, wording: Split, cell: str | None) -> None:
    assert cell_of(voice, wording, "dev") == cell


def test_smallest_change_of_a_text_weight_is_seen() -> None:
    model = small_model()
    before = text_probe(model, 0)
    with torch.no_grad():
        model.text_lm_head.weight[7, 3] += 1e-6
    assert largest_change(before, text_probe(model, 0)) > 0.0


def test_text_probe_does_not_depend_on_the_speech_side() -> None:
    model = small_model()
    before = text_probe(model, 0)
    with torch.no_grad():
        model.model.audio_embed.weight += 1.0
        model.audio_lm_head.weight += 1.0
    assert largest_change(before, text_probe(model, 0)) == 0.0


def test_development_questions_exclude_training_test_and_text_only() -> None:
    utterances, dialogues = {}, []
    for taught in ("speech", "text"):
        for voice, wording in (
            ("dev", "train"),
            ("dev", "dev"),
            ("test", "train"),
            ("train", "train"),
        ):
            name = f"{taught}-{voice}-{wording}"
            utterances[name] = Utterance(
                name, Path("x"), 1.0, "what color is grass", voice, "question", voice, wording
            )  # type: ignore[arg-type]
            turns = (
                Turn("user", "what color is grass", (name,)),
                Turn("assistant", "it is green", ("a",)),
            )
            dialogues.append(Dialogue(name, wording, turns, {"taught": taught}))  # type: ignore[arg-type]
    codes = {name: np.array([1, 2], np.int64) for name in [*utterances, "a"]}
    questions = DevQuestions(utterances, dialogues, codes, n_items=9, seed=0)
    accuracy = questions.accuracy(small_model(), small_tokenizer())
    assert set(accuracy) == {"s2t_voice", "s2t_both", "s2s_voice", "s2s_both"}
    assert accuracy["s2s_voice"] == 1.0  # there is one answer to be near to
