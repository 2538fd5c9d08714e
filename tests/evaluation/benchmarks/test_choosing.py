"""Contexts and options as rows of the grid."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_speech.evaluation.benchmarks.answers import Bench
from moss_speech.evaluation.benchmarks.choosing import Choosing
from moss_speech.evaluation.benchmarks.items import Choice, Said
from moss_speech.evaluation.benchmarks.speaking import Readers
from moss_speech.evaluation.benchmarks.subject import Subject
from moss_speech.lm import grid
from moss_speech.params.suite import ChoiceSuite, Speaker
from tests.evaluation.benchmarks.folders import CHOICE
from tests.small_release import write_lm
from tests.tiny_bundle import tiny_bundle

WORDS = st.lists(st.sampled_from(["what", "is", "green", "it", "北京", "grass."]), min_size=1)


def nobody():
    raise AssertionError("nobody speaks here")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    return Subject.open(write_lm(folder / "lm"), "lm", folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return Subject.open(tiny_bundle(folder), "tiny", folder)


def choosing(subject, spoken: Path = Path(), **changes):
    suite = ChoiceSuite(**CHOICE | changes)
    return Choosing(suite, Bench(subject, Readers(suite.speakers, spoken), nobody, 0, Path()))


def item(context, *options):
    said = None if context is None else Said(context, None)
    return Choice("a", said, tuple(Said(option, None) for option in options), 0)


@settings(max_examples=40, deadline=None)
@given(context=WORDS, first=WORDS, second=WORDS, joint=st.sampled_from([" ", ""]))
def test_text_is_the_whole_text_cut_where_the_option_begins(alone, context, first, second, joint):
    given_text, options = " ".join(context), (" ".join(first), " ".join(second))
    kind, encode = choosing(alone, joint=joint), alone.tokenizer.encode
    for option, found in zip(
        options, kind.continuations("t2t", item(given_text, *options)), strict=True
    ):
        rows = np.concatenate((found.context_TC, found.said_TC))
        whole_ids = encode(given_text + joint + option)
        assert rows[:, 0].tolist() == [alone.lm.config.ids.im_start, *whole_ids]
        assert len(found.context_TC) <= 1 + len(encode(given_text))
        assert len(found.said_TC) >= 1


def test_option_without_a_context_follows_the_start_alone(alone):
    (found, _) = choosing(alone).continuations("t2t", item(None, "it is green", "it is"))
    assert found.context_TC[:, 0].tolist() == [alone.lm.config.ids.im_start]


def test_preamble_stands_before_every_context(alone):
    kind = choosing(alone, preamble="it is ")
    (found, _) = kind.continuations("t2t", item("what", "green", "grass"))
    rows = np.concatenate((found.context_TC, found.said_TC))[1:, 0]
    assert rows.tolist() == alone.tokenizer.encode("it is what green")


def test_chat_asks_as_serving_does(whole):
    kind = choosing(whole, form="chat")
    (found, _) = kind.continuations("t2t", item("what color is the grass", "green", "it"))
    turns = [grid.Turn("user", text="what color is the grass")]
    prompt_TC = grid.prompt_rows(turns, "text", whole.tokenizer, whole.lm.config)
    assert found.context_TC.tolist() == prompt_TC.tolist()
    assert found.said_TC[:, 0].tolist() == whole.tokenizer.encode("green")


@pytest.mark.parametrize(
    ("route", "opening", "closed"), [("s2t", "sosp", True), ("s2s", "sosp", False)]
)
def test_spoken_context_is_one_piece_of_speech(route, opening, closed, whole, tmp_path):
    kind = choosing(whole, tmp_path, routes=[route])
    (found, _) = kind.continuations(route, item("what color is the grass", "green", "it is"))
    ids = whole.lm.config.ids
    rows = found.context_TC.tolist()
    readers = Readers([Speaker(**CHOICE["speakers"][0])], tmp_path)
    heard_S = readers.read(Said("what color is the grass", None), "a", 16000)
    codes = whole.parts.codec.encode([heard_S])[0].tolist()
    spoken = [[ids.modality_pad, code] for code in codes]
    start = [[ids.im_start, ids.audio_pad], [getattr(ids, opening), ids.audio_pad]]
    assert rows == start + spoken + ([[ids.modality_pad, ids.eosp]] if closed else [])
    in_speech = found.said_TC[0, 0] == ids.modality_pad
    assert in_speech == (route == "s2s")  # speech goes on, text follows what was closed
