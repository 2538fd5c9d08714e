"""Rules of cleaning as properties: what is inside the bounds stays, splits share nothing."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from moss_speech.corpus.clean.dialogues import Screen, clean_dialogues
from moss_speech.corpus.clean.duplicates import distance, duplicates, fingerprint
from moss_speech.corpus.clean.leaks import PROTECTED, Leaks
from moss_speech.corpus.clean.listen import Heard
from moss_speech.corpus.clean.measure import Measured
from moss_speech.corpus.clean.parting import part_words
from moss_speech.corpus.clean.pieces import pieces
from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.clean.verdicts import check_declared, check_heard, check_item
from moss_speech.corpus.clean.words import Words
from moss_speech.corpus.items import Dialogue, Turn, Utterance
from moss_speech.params.base import load_section
from moss_speech.params.clean import Clean
from moss_speech.speech.vad import WINDOW_S
from tests.bad_input.corpora import SmallCorpus

P = load_section(Path(__file__).parents[2] / "presets" / "demo.yaml", "clean", Clean)
STRICT = P.model_copy(update={"personal_data": "reject", "max_same_text": 2})
SCREEN = Screen(P, Leaks(P.near_text), {})
SPLITS = st.sampled_from(PROTECTED)


def item(item_id: str = "a", **changes: object) -> Utterance:
    plain = Utterance(
        item_id, Path("a.wav"), 2.0, "what color is grass", "ann", "recording", "train", "train"
    )
    return dataclasses.replace(plain, **changes)


def within(bounds: list[float]) -> st.SearchStrategy[float]:
    return st.floats(*bounds)


@given(
    duration_s=within(P.duration_s),
    speech_s=st.floats(P.min_speech_s, 15),
    loudness=within(P.loudness_lufs),
    clipped=st.floats(0, P.max_clipped_share),
    rate_hz=st.integers(P.min_sample_rate_hz, 192_000),
)
def test_what_is_inside_all_bounds_is_kept(duration_s, speech_s, loudness, clipped, rate_hz):
    u = item(duration_s=duration_s)
    measured = Measured("a", duration_s, speech_s, loudness, clipped, bytes(64))
    assert check_declared(u, rate_hz, 2, P) is None
    assert check_item(u, measured, P) is None


@given(
    quality=st.floats(P.min_quality, 5),
    other=st.floats(0, 0.5),
    transcript=st.sampled_from(["given", "missing", "none"]),
)
def test_what_is_heard_inside_all_bounds_is_kept(quality, other, transcript):
    p = P.model_copy(update={"max_other_language": 0.5})
    u = item(tags={"transcript": transcript})
    assert check_heard(u, Heard(u.text, u.text, quality, "de", other), p) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 60)), max_size=60), st.floats(2, 30))
def test_pieces_hold_all_speech_are_short_and_do_not_overlap(stretches, max_s):
    probability_W = np.concatenate(
        [np.zeros(0, np.float32), *(np.full(n, p, np.float32) for p, n in stretches)]
    )
    duration_s = max(len(probability_W) * WINDOW_S - 0.01, 0.0)
    spans = pieces(probability_W, duration_s, max_s)
    assert all(0 < s.duration_s <= max_s for s in spans)
    ends = [s.start_s + s.duration_s for s in spans]
    assert all(end <= s.start_s + 1e-9 for end, s in zip(ends, spans[1:], strict=False))
    assert not spans or (spans[0].start_s >= 0 and ends[-1] <= duration_s + 1e-9)
    for window in np.flatnonzero(probability_W >= 0.5):
        first_s, last_s = window * WINDOW_S, min((window + 1) * WINDOW_S, duration_s)
        holders = [
            s for s, e in zip(spans, ends, strict=True) if s.start_s < last_s and e > first_s
        ]
        assert holders, f"speech at {first_s} s is in no piece"


SPOKEN = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=6)


@given(given_words=st.lists(st.sampled_from("abcdef"), max_size=25), heard=SPOKEN)
def test_given_words_are_parted_in_order_each_once(given_words, heard):
    parts = part_words(given_words, heard)
    assert len(parts) == len(heard)
    assert [word for part in parts for word in part] == given_words


@given(SPOKEN)
def test_words_that_were_heard_rightly_go_to_their_piece(said):
    assert part_words([word for piece in said for word in piece], said) == said


def test_misheard_and_unheard_words_stay_between_their_neighbours():
    given_words = ["he", "was", "not", "an", "ill", "disposed", "young", "man", "at", "all"]
    heard = [["he", "was", "not", "an", "hill"], ["disposed", "man", "at", "all"]]
    assert part_words(given_words, heard) == [given_words[:5], given_words[5:]]


@hypothesis_settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.sampled_from([0.0, 0.02, 0.05, 0.1]))
def test_no_near_fingerprint_is_missed(seed, count, below):
    random = np.random.default_rng(seed)
    prints_NY = random.integers(0, 256, (count, 64), dtype=np.uint8)
    for n in range(1, count):  # half of them are an earlier one with some bits turned
        if random.random() < 0.5:
            bits = np.unpackbits(prints_NY[random.integers(n)])
            bits[random.choice(512, random.integers(0, 60), replace=False)] ^= 1
            prints_NY[n] = np.packbits(bits)
    groups_N = random.integers(0, 3, count)
    kept: list[int] = []
    expected: dict[int, tuple[int, float]] = {}
    for n in range(count):
        apart = [
            (distance(prints_NY[k].tobytes(), prints_NY[n].tobytes()), k)
            for k in kept
            if groups_N[k] == groups_N[n]
        ]
        if apart and min(apart)[0] < below:
            expected[n] = (min(apart)[1], min(apart)[0])
        else:
            kept.append(n)
    assert duplicates(prints_NY, below, groups_N) == expected


def test_ten_thousand_copies_of_a_file_are_found_at_once():
    copies_NY = np.tile(np.arange(64, dtype=np.uint8), (10_000, 1))
    found = duplicates(copies_NY, 0.02, np.zeros(10_000, np.int64))
    assert len(found) == 9_999 and set(found.values()) == {(0, 0.0)}


@given(gain=st.floats(0.01, 1.0), seed=st.integers(0, 100))
def test_fingerprints_do_not_hear_the_level(gain, seed):
    random = np.random.default_rng(seed)
    loudness_S = np.repeat(random.random(20), 1600)
    clip_S = (random.standard_normal(32_000) * loudness_S * 0.1).astype(np.float32)
    assert distance(fingerprint(clip_S), fingerprint(np.float32(gain) * clip_S)) < 0.02


WORDS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=14).map(" ".join)
ITEMS = st.lists(st.tuples(WORDS, st.sampled_from("xyz"), SPLITS, SPLITS), min_size=1, max_size=25)


@given(ITEMS, st.sampled_from([0.0, 0.1, 0.2, 0.3]))
def test_what_is_kept_shares_no_voice_and_no_near_text_between_splits(rows, near):
    items = [
        item(str(n), text=text, speaker=speaker, voice_split=voice, text_split=split)
        for n, (text, speaker, voice, split) in enumerate(rows)
    ]
    leaks = Leaks(near)
    for u in items:
        leaks.add(u)
    kept = [u for u in items if leaks.check(u) is None]
    for a, b in itertools.combinations(kept, 2):
        assert a.speaker != b.speaker or a.voice_split == b.voice_split
        words = a.text.split(), b.text.split()
        apart = Levenshtein.distance(*words) / max(map(len, words))
        assert apart > near or a.text_split == b.text_split
    assert all(u in kept for u in items if u.voice_split == u.text_split == "test")


def test_voice_in_two_splits_is_kept_by_the_test():
    leaks = Leaks(P.near_text)
    train, test = item("a"), item("b", voice_split="test", text="it is red")
    for u in (train, test):
        leaks.add(u)
    assert leaks.check(train).reason == "voice leak" and leaks.check(test) is None


def test_nearly_equal_wording_is_a_leak_that_names_both():
    leaks = Leaks(0.1)
    held_out = "the quick brown fox jumps over the lazy dog and runs away"
    train = item("a", text=held_out.replace("lazy", "sleepy"))
    test = item("b", text=held_out, speaker="bob", text_split="test")
    for u in (train, test):
        leaks.add(u)
    reject = leaks.check(train)
    assert reject.reason == "wording leak" and held_out in reject.value
    assert reject.allowed == "in one split; test has it"


def test_held_out_renditions_of_an_answer_are_no_leak():
    leaks = Leaks(P.near_text)
    answers = [item("a", role="answer"), item("b", role="answer", text_split="test")]
    for u in answers:
        leaks.add(u)
    assert [leaks.check(u) for u in answers] == [None, None]


def test_a_text_may_be_said_so_often_by_each_speaker_of_each_source():
    words = Words(STRICT)
    verdicts = [words.check(item(str(n), text="Hello!")) for n in range(3)]
    assert [v and v.reason for v in verdicts] == [None, None, "repeated text"]
    assert words.check(item("c", speaker="bob", text="hello")) is None
    assert words.check(item("d", tags={"source": "other"}, text="hello")) is None


def test_speech_without_words_may_lack_them():
    unsupervised = item(text="", tags={"transcript": "none"})
    assert check_item(unsupervised, Measured("a", 2.0, 1.5, -23.0, 0.0, bytes(64)), P) is None
    assert check_heard(unsupervised, Heard(None, None, 3.0), P) is None


@pytest.mark.parametrize("with_dialogue", [False, True])
def test_a_corpus_of_which_nothing_is_kept_fails_by_share_not_by_accident(tmp_path, with_dialogue):
    corpus = SmallCorpus(tmp_path)
    corpus.declare("a", "nowhere.wav", seconds=-1.0)
    if with_dialogue:
        corpus.dialogues.append(turns("", "x").to_json())
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"100.0% of 1 items are rejected, .* first a: duration"):
        clean_corpus(corpus.write(), tmp_path, P, 1, tmp_path / "out", tmp_path / "blocks")


def test_a_corpus_of_typed_dialogues_alone_is_cleaned(tmp_path):
    corpus = SmallCorpus(tmp_path)
    corpus.dialogues.append(turns("hello", "hi").to_json())
    (tmp_path / "out").mkdir()
    summary = clean_corpus(corpus.write(), tmp_path, P, 1, tmp_path / "out", tmp_path / "blocks")
    assert summary["items"] == 0 and summary["dialogues"] == {"kept": 1, "rejected": {}}


def turns(*texts: str) -> Dialogue:
    said = [
        Turn("user" if n % 2 == 0 else "assistant", text, (f"u{n}",))
        for n, text in enumerate(texts)
    ]
    return Dialogue("d", "train", tuple(said), {"source": "calls"})


def test_a_turn_without_text_gets_the_words_of_its_recording():
    kept, rejects = clean_dialogues([turns("", "it is green")], {"u0": "what color"}, SCREEN)
    assert rejects == []
    assert [(t.text, t.utterances) for t in kept[0].turns] == [
        ("what color", ("u0",)),
        ("it is green", ()),
    ]


def test_personal_data_in_a_turn_rejects_the_dialogue_and_is_not_repeated():
    kept, rejects = clean_dialogues(
        [turns("my mail is a@b.org", "thanks")], {}, Screen(STRICT, Leaks(0.1), {})
    )
    assert kept == []
    assert [(r.id, r.source, r.reason) for r in rejects] == [("d", "calls", "personal data")]
    assert "a@b.org" not in str(rejects)


def test_a_dialogue_with_an_empty_turn_is_rejected():
    kept, rejects = clean_dialogues([turns("", "it is green")], {}, SCREEN)
    assert kept == [] and rejects[0].reason == "turn" and "turn 1" in rejects[0].value
