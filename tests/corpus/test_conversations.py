"""Dialogues of several exchanges as training sequences, in every pairing."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from moss_speech.corpus.items import Dialogue, Turn, Utterance
from moss_speech.corpus.packing.compose import KINDS, Composer, Kind
from moss_speech.corpus.packing.material import PAIRINGS, Material, gather
from moss_speech.lm import grid
from moss_speech.lm.grid import IGNORE, training_sequence
from tests.corpus.test_packing import CONFIG, TOKENIZER, composition

ORDER: tuple[Literal["user"], Literal["assistant"]] = ("user", "assistant")


def dialogue(id_: str, *turns: str, split: Any = "train") -> Dialogue:
    """Turns of user and assistant in turn; one that ends in `*` is not recorded."""
    said = [
        Turn(ORDER[n % 2], text.rstrip("*"), () if text.endswith("*") else (f"{id_}{n}",))  # type: ignore[arg-type]
        for n, text in enumerate(turns)
    ]
    return Dialogue(id_, split, tuple(said), {"taught": "speech"})


def material(*dialogues: Dialogue) -> Material:
    """Each recording has one code of its own, twice."""
    turns = [(i, t) for d in dialogues for t in d.turns for i in t.utterances]
    role = {"user": "question", "assistant": "answer"}
    utterances = {
        i: Utterance(i, Path("x"), 1.0, t.text, t.role, role[t.role], "train", "train")  # type: ignore[arg-type]
        for i, t in turns
    }
    codes = {i: np.full(2, code, np.int64) for code, i in enumerate(utterances)}
    return gather(utterances, dialogues, codes, {})


def drawn(found: Material, kind: Kind, n: int = 60, **more: object) -> set[bytes]:
    """The different sequences of one kind, as bytes of rows and targets."""
    mixture = {**dict.fromkeys(KINDS, 0.0), kind: 1.0}
    plain = {"filler_share": 0.0, "splice_share": 0.0, "end_share": 1.0}
    p = composition(mixture=mixture, **plain, **more)
    composer = Composer(found, p, TOKENIZER, CONFIG, seed=4)
    return {content(one.sequence) for _, one in zip(range(n), composer, strict=False)}


def content(sequence: grid.GridSequence) -> bytes:
    return sequence.rows_TC.tobytes() + sequence.targets_TC.tobytes()


def spoken(role: grid.Role, said: str | int) -> grid.Turn:
    """A typed turn, or the two codes of a recording."""
    return grid.Turn(role, said) if isinstance(said, str) else grid.Turn(role, codes=[said] * 2)


def expected(*turns: str | int) -> bytes:
    """The sequence of typed turns (text) and spoken turns (the code of their recording)."""
    said = [spoken(ORDER[n % 2], turn) for n, turn in enumerate(turns)]
    return content(training_sequence(said, TOKENIZER, CONFIG))


WHOLE = dialogue("a", "is grass green", "it is", "and the sky", "it is blue")
"""Codes 0..3."""


@pytest.mark.parametrize(
    ("pairing", "turns"),
    [
        ("t2t", ("is grass green", "it is", "and the sky", "it is blue")),
        ("s2t", (0, "it is", 2, "it is blue")),
        ("t2s", ("is grass green", 1, "and the sky", 3)),
        ("s2s", (0, 1, 2, 3)),
    ],
)
def test_every_turn_of_a_dialogue_is_told_in_order_in_each_pairing(pairing, turns):
    assert drawn(material(WHOLE), pairing, max_exchanges=4) == {expected(*turns)}


@pytest.mark.parametrize(("pairing", "learnt"), [("s2t", ["it is", "it is blue"]), ("t2s", [1, 3])])
def test_every_answer_of_a_dialogue_is_learnt_and_nothing_else(pairing, learnt):
    found = drawn(material(WHOLE), pairing).pop()
    _, targets_TC = np.frombuffer(found, np.int64).reshape(2, -1, 2)
    ids = CONFIG.ids
    want = {"s2t": [], "t2s": []}
    for answer in learnt:
        want["s2t"] += [*(TOKENIZER.encode(answer) if isinstance(answer, str) else []), ids.im_end]
        want["t2s"] += [] if isinstance(answer, str) else [answer, answer, ids.eosp]
    assert targets_TC[targets_TC[:, 0] != IGNORE, 0].tolist() == want["s2t"]
    assert targets_TC[targets_TC[:, 1] != IGNORE, 1].tolist() == want["t2s"]


def test_question_without_a_recording_is_typed_among_spoken_ones_and_counted():
    found = material(dialogue("a", "is grass green", "it is", "and the sky*", "it is blue"))
    assert drawn(found, "s2s") == {expected(0, 1, "and the sky", 2)}
    assert found.account()["pairings"]["s2s"] == {"dialogues": 1, "questions_typed": 1}


def test_answer_without_a_recording_keeps_a_dialogue_out_of_spoken_answers_and_is_counted():
    found = material(dialogue("a", "is grass green", "it is*", "and the sky", "it is blue"))
    assert drawn(found, "s2t") == {expected(0, "it is", 1, "it is blue")}
    pairings = found.account()["pairings"]
    assert pairings["t2s"] == {"dialogues": 0, "answer_not_spoken": 1}
    assert pairings["s2s"] == {"dialogues": 0, "questions_typed": 0, "answer_not_spoken": 1}
    with pytest.raises(ValueError, match=r"mixture\.s2s is 1\.0, must be 0: the corpus"):
        drawn(found, "s2s")


def test_typed_question_with_a_recorded_answer_is_learnt_as_typed_to_spoken():
    found = material(dialogue("a", "is grass green*", "it is"))
    assert drawn(found, "t2s", max_exchanges=1) == {expected("is grass green", 0)}
    assert found.account()["pairings"]["s2s"]["no_question_spoken"] == 1


def test_dialogues_of_one_exchange_are_joined_and_longer_ones_stay_alone():
    found = material(WHOLE, dialogue("b", "who am i", "ann"), dialogue("c", "why", "because"))
    allowed = {expected(0, 1, 2, 3), expected(4, 5), expected(6, 7)}
    allowed |= {expected(*x, *y) for x in ((4, 5), (6, 7)) for y in ((4, 5), (6, 7))}
    assert drawn(found, "s2s", n=200, max_exchanges=2, repeat_share=0.0) == allowed


def test_held_out_and_wordless_dialogues_are_counted():
    held_out = dialogue("h", "who am i", "bob", split="test")
    empty = dialogue("e", "who am i", "*")
    found = material(WHOLE, held_out, empty)
    account = found.account()
    assert account["left_out"] == {"held_out": 1, "turn_without_words": 1}
    assert account["longest_exchanges"] == 2
    assert all(account["pairings"][pairing]["dialogues"] == 1 for pairing in PAIRINGS)


def test_dialogue_that_says_words_again_is_drawn_when_no_share_is_set():
    found = material(dialogue("a", "say hello", "hello"), dialogue("b", "who am i", "ann"))
    single = {expected(0, 1), expected(2, 3)}
    assert drawn(found, "s2s", max_exchanges=1, repeat_share=None) == single
    assert drawn(found, "s2s", max_exchanges=1, repeat_share=0.0) == {expected(2, 3)}


def test_sides_that_do_not_take_turns_are_refused():
    turns = (Turn("user", "a"), Turn("user", "b"))
    with pytest.raises(ValueError, match="dialogue x: turns of user, user, must be user, assist"):
        material(Dialogue("x", "train", turns))


def test_recordings_of_one_answer_in_several_dialogues_are_alternatives():
    found = material(dialogue("a", "is it", "yes"), dialogue("b", "was it", "yes"))
    every = {expected(asked, said) for asked in (0, 2) for said in (1, 3)}
    assert drawn(found, "s2s", max_exchanges=1, renditions=9) == every
