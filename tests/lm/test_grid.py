"""Rows of conversations, checked against the format sheet; the one label shift."""

from typing import ClassVar

import numpy as np
import pytest

from moss_speech.lm.grid import (
    IGNORE,
    SYSTEM,
    Turn,
    interleaved_sequence,
    prompt_rows,
    reply_codes,
    reply_text,
    training_sequence,
)
from moss_speech.lm.plan import PUBLISHED_CONFIG
from tests.lm.small import N_CODES, small_config, small_tokenizer

TOKENIZER, CONFIG = small_tokenizer(), small_config()
IDS = CONFIG.ids


class PublishedPieces:
    """The published ids of the golden prompts' pieces (docs/reference/format.md section 3)."""

    PIECES: ClassVar[dict[str, list[int]]] = {
        "system\n": [8948, 198],
        "user\n": [872, 198],
        "assistant\n": [77091, 198],
        "\n": [198],
        SYSTEM["text"]: [
            2610, 525, 264, 10950, 17847, 13, 21806, 279, 1196, 594, 4755, 448, 1467, 13
        ],
        SYSTEM["audio"]: [
            2610, 525, 264, 10950, 7743, 17847, 13,
            21806, 279, 1196, 594, 4755, 448, 21355, 14507, 13,
        ],
        "Introduce yourself in one sentence.": [1072, 47845, 6133, 304, 825, 11652, 13],
    }  # fmt: skip

    def encode(self, text: str) -> list[int]:
        return self.PIECES[text]


def test_golden_text_prompt_has_34_rows() -> None:
    turn = Turn("user", "Introduce yourself in one sentence.")
    rows = prompt_rows([turn], "text", PublishedPieces(), PUBLISHED_CONFIG)  # type: ignore[arg-type]
    expected = [151644, 8948, 198, *PublishedPieces.PIECES[SYSTEM["text"]], 151645, 198]
    expected += [151644, 872, 198, 1072, 47845, 6133, 304, 825, 11652, 13, 151645, 198]
    expected += [151644, 77091, 198]
    assert rows[:, 0].tolist() == expected and len(rows) == 34
    assert set(rows[:, 1]) == {512}


def test_golden_speech_prompt_has_375_rows() -> None:
    codes = np.random.default_rng(0).integers(16384, size=343)
    turn = Turn("user", codes=codes.tolist())
    rows = prompt_rows([turn], "audio", PublishedPieces(), PUBLISHED_CONFIG)  # type: ignore[arg-type]
    assert len(rows) == 375
    assert rows[24].tolist() == [151646, 512]
    assert (rows[25:368, 0] == 151667).all() and (rows[25:368, 1] == codes).all()
    assert rows[368].tolist() == [151667, 16384]
    assert rows[369:, 0].tolist() == [151645, 198, 151644, 77091, 198, 151646]
    assert rows[-1].tolist() == [151646, 512]


def test_own_system_turn_replaces_the_published_one() -> None:
    turns = [Turn("system", "it is green"), Turn("user", "what color is grass")]
    rows = prompt_rows(turns, "text", TOKENIZER, CONFIG)
    assert reply_text(rows, TOKENIZER, CONFIG).count("helpful") == 0
    default = prompt_rows(turns[1:], "text", TOKENIZER, CONFIG)
    assert reply_text(default, TOKENIZER, CONFIG).count("helpful") == 1


@pytest.mark.parametrize(
    "reply", [Turn("assistant", "it is green"), Turn("assistant", codes=[4, 9])]
)
def test_training_sequence_continues_exactly_what_a_prompt_opens(reply: Turn) -> None:
    question = Turn("user", codes=[3, 1, 2])
    output = "text" if reply.text else "audio"
    prompt = prompt_rows([question], output, TOKENIZER, CONFIG)  # type: ignore[arg-type]
    sequence = training_sequence([question, reply], TOKENIZER, CONFIG)
    assert (sequence.rows_TC[: len(prompt)] == prompt).all()
    assert (sequence.targets_TC[: len(prompt) - 1] == IGNORE).all()
    assert (sequence.targets_TC[len(prompt) - 1 :] != IGNORE).any(axis=1).all()


def test_each_target_is_what_the_next_row_says() -> None:
    turns = [Turn("user", "what color is grass"), Turn("assistant", codes=[4, 9])]
    sequence = training_sequence(turns, TOKENIZER, CONFIG)
    assert sequence.rows_TC[-4:, 1].tolist() == [IDS.audio_pad, 4, 9, IDS.eosp]
    assert sequence.targets_TC[-4:].tolist() == [
        [IGNORE, 4],
        [IGNORE, 9],
        [IGNORE, IDS.eosp],
        [IDS.im_end, IGNORE],
    ]


def test_every_assistant_turn_is_learnt_and_nothing_else() -> None:
    turns = [
        Turn("user", "what color is grass"),
        Turn("assistant", "it is green"),
        Turn("user", codes=[1]),
        Turn("assistant", "it is green"),
    ]
    learnt = training_sequence(turns, TOKENIZER, CONFIG).targets_TC[:, 0]
    reply = [*TOKENIZER.encode("it is green"), IDS.im_end]
    assert learnt[learnt != IGNORE].tolist() == reply * 2


def test_interleaved_spans_teach_both_switches() -> None:
    sequence = interleaved_sequence(["what color", [5, 6], " is"], TOKENIZER, CONFIG)
    text, audio = sequence.targets_TC.T
    spoken = [*TOKENIZER.encode("what color"), IDS.sosp, *TOKENIZER.encode(" is"), IDS.im_end]
    assert text[text != IGNORE].tolist() == spoken
    assert audio[audio != IGNORE].tolist() == [5, 6, IDS.eosp]


def test_reply_stops_at_the_end_of_speech_and_skips_ignored_samples() -> None:
    pad = IDS.modality_pad
    rows = np.array([(7, 3), (pad, 4), (pad, 9), (pad, IDS.eosp), (IDS.im_end, 5), (pad, 8)])
    assert reply_codes(rows, CONFIG) == [4, 9]
    assert reply_codes(np.array([(7, IDS.eosp), (8, 3)]), CONFIG) == []


@pytest.mark.parametrize("code", [-1, N_CODES, N_CODES + 3])
def test_code_outside_the_codebook_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"code {code} is outside the codebook 0..{N_CODES - 1}"):
        prompt_rows([Turn("user", codes=[1, code])], "text", TOKENIZER, CONFIG)


def test_turn_with_neither_or_both_contents_is_refused() -> None:
    for content in ({}, {"text": "a", "codes": [1]}, {"codes": []}):
        with pytest.raises(ValueError, match="user turn"):
            Turn("user", **content)  # type: ignore[arg-type]


def test_prompt_longer_than_the_context_is_refused() -> None:
    with pytest.raises(ValueError, match="must have fewer than 512"):
        prompt_rows([Turn("user", codes=[1] * 600)], "text", TOKENIZER, CONFIG)
