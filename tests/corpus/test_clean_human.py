"""Cleaning of real human recordings: a long one is cut and written down, a killed run goes on."""

import json
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import jiwer
import numpy as np
import pytest

from moss_speech.audio import LISTENING, read_audio
from moss_speech.corpus.check import check_items
from moss_speech.corpus.clean import blocks
from moss_speech.corpus.clean.measure import MEASURING
from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.items import open_dialogues, open_utterances
from moss_speech.corpus.sources.human import FOLDER, collect_human
from moss_speech.params.base import load_section
from moss_speech.params.clean import Clean
from moss_speech.speech.recognisers import Whisper
from moss_speech.speech.text import normalise
from moss_speech.storage import read_jsonl, tree_digest
from tests.bad_input.corpora import GOOD, SmallCorpus, small_corpus

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no pocketsphinx-testdata")
DEMO = Path(__file__).parents[2] / "presets" / "demo.yaml"
MAX_S = 10.0


@pytest.fixture(scope="module")
def p() -> Clean:
    loaded = load_section(DEMO, "clean", Clean)
    changes = {"threads": 1, "sample": 0, "max_reject_share": 1.0, "duration_s": [0.3, MAX_S]}
    return loaded.model_copy(update=changes)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> list[tuple[np.ndarray, str]]:
    """Read sentences of a person at 16 kHz, and their words."""
    audio = tmp_path_factory.mktemp("human")
    items = [i for i in collect_human(audio).items if i.speaker == "human:librivox"]
    return [(read_audio(audio / i.file, LISTENING.sample_rate_hz), i.text) for i in items]


def joined(clips: list[np.ndarray]) -> np.ndarray:
    pause_S = np.zeros(LISTENING.sample_rate_hz, np.float32)
    return np.concatenate([part for clip in clips for part in (clip, pause_S)])


def with_long(root: Path, spoken: list[tuple[np.ndarray, str]], **custom: str) -> SmallCorpus:
    corpus = small_corpus(root)
    long_S = joined([clip for clip, _ in spoken])
    corpus.say("long", long_S, rate_hz=LISTENING.sample_rate_hz, **{"text": ""} | custom)
    return corpus


def clean(corpus: SmallCorpus, p: Clean, name: str = "clean") -> Path:
    out = corpus.root / name
    out.mkdir()
    clean_corpus(corpus.write(), corpus.root, p, 1, out, corpus.root / f"{name}-blocks")
    return out


def test_a_long_recording_is_cut_and_written_down_as_its_reader_said_it(tmp_path, spoken, p):
    corpus = with_long(tmp_path, spoken, transcript="missing")
    kept = open_utterances(clean(corpus, p))
    pieces = [u for id_, u in kept.items() if id_ != GOOD]
    assert [u.id for u in pieces] == [f"long-{n:04d}" for n in range(len(pieces))]
    assert all(u.span is not None and u.duration_s <= MAX_S for u in pieces)
    assert {u.tags["transcript"] for u in pieces} == {"recognised"}
    said, heard = " ".join(text for _, text in spoken), " ".join(u.text for u in pieces)
    assert jiwer.wer(said, heard) < 0.25
    for u in pieces:  # each piece's words are those of its own sound
        (again,) = Whisper("whisper-base").transcribe([u.read(LISTENING.sample_rate_hz, tmp_path)])
        assert jiwer.wer(u.text, again) < 0.4


def test_speech_without_words_is_cut_and_keeps_none(tmp_path, spoken, p):
    kept = open_utterances(clean(with_long(tmp_path, spoken, transcript="none"), p))
    pieces = [u for id_, u in kept.items() if id_ != GOOD]
    assert pieces and {(u.text, u.tags["transcript"]) for u in pieces} == {("", "none")}
    seconds = sum(u.duration_s for u in pieces)
    assert seconds > 0.8 * sum(len(clip) for clip, _ in spoken) / LISTENING.sample_rate_hz


def test_given_words_of_a_long_recording_go_to_the_pieces_that_say_them(tmp_path, spoken, p):
    corpus = with_long(tmp_path, spoken, text=" ".join(text for _, text in spoken))
    out = clean(corpus, p)
    pieces = [u for id_, u in open_utterances(out).items() if id_ != GOOD]
    starts = np.cumsum([0.0, *(len(clip) / 16_000 + 1.0 for clip, _ in spoken)])
    for u in pieces:  # every piece lies in sentences whose words it has
        assert u.span is not None
        end_s = u.span.start_s + u.duration_s
        touched = (starts[:-1] < end_s) & (starts[1:] > u.span.start_s)
        told = " ".join(spoken[n][1] for n in np.flatnonzero(touched))
        assert set(u.text.split()) <= set(told.split())
    kept_words = sum(len(u.text.split()) for u in pieces)
    assert kept_words > 0.7 * sum(len(text.split()) for _, text in spoken)


def test_words_of_another_recording_are_not_laid_on_a_long_one(tmp_path, spoken, p):
    wrong = "colorless green ideas sleep furiously under seven purple umbrellas " * 5
    out = clean(with_long(tmp_path, spoken, text=wrong), p)
    rows = read_jsonl(out / "rejects.jsonl")
    assert {(r["reason"], r["source"]) for r in rows} <= {("alignment", "mine"), ("text", "mine")}
    assert list(open_utterances(out)) == [GOOD]


def test_turns_of_dialogues_are_not_cut(tmp_path, spoken, p):
    out = clean(with_long(tmp_path, spoken, transcript="none", role="answer"), p)
    rows = read_jsonl(out / "rejects.jsonl")
    assert [(r["id"], r["reason"], r["source"]) for r in rows] == [("long", "duration", "mine")]
    assert list(open_utterances(out)) == [GOOD]


def test_two_recognisers_must_agree_on_what_they_write_down(tmp_path, spoken, p):
    corpus = small_corpus(tmp_path)
    clip, words = spoken[0]
    corpus.say("read", clip, rate_hz=16_000, text="", transcript="missing")
    both = p.model_copy(update={"recognisers": ["whisper-tiny.en", "whisper-base"]})
    kept = open_utterances(clean(corpus, both))
    assert jiwer.wer(words, kept["read"].text) < 0.3
    never = both.model_copy(
        update={"max_recogniser_error": 1e-9, "recognisers": ["whisper-tiny.en", "sphinx"]}
    )
    (row,) = read_jsonl(clean(corpus, never, "never") / "rejects.jsonl")
    assert row["id"] == "read" and row["value"].startswith("recognisers differ by")


def test_check_of_items_judges_the_pieces_that_cleaning_keeps(tmp_path, spoken, p, monkeypatch):
    """Of a file, and of members of a tar file, whose copies do not pile up."""
    corpus = with_long(tmp_path, spoken[:3], transcript="none")
    kept = [id_ for id_ in open_utterances(clean(corpus, p)) if id_.startswith("long-")]
    assert len(kept) > 1
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "long.wav").write_bytes(corpus.audio("long.wav").read_bytes())
    told = list(check_items(raw, p, language="en"))
    assert [(id_, reject) for id_, _, reject in told] == [(f"checked-{id_}", None) for id_ in kept]

    with tarfile.open(tmp_path / "raw.tar", "w") as shard:
        for name in ("a.wav", "b.wav"):
            shard.add(raw / "long.wav", name)
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    lying = [len(list(copies.rglob("*.flac"))) for _ in check_items(tmp_path / "raw.tar", p)]
    assert lying == [1, 1], "of unknown language: one verdict a member"
    again = check_items(tmp_path / "raw.tar", p, language="en")
    assert max(len(list(copies.rglob("*.flac"))) for _ in again) == 1


def test_another_language_than_the_declared_one_is_rejected(tmp_path, spoken, p):
    corpus = small_corpus(tmp_path)
    for id_, language, clip in (("german", "de", 0), ("english", "en", 1)):
        corpus.say(id_, spoken[clip][0], rate_hz=16_000, text=spoken[clip][1], language=language)
    judged = p.model_copy(update={"max_other_language": 0.7, "sample": None})
    out = clean(corpus, judged)
    (row,) = read_jsonl(out / "rejects.jsonl")
    assert row["id"] == "german" and row["reason"] == "language" and row["value"].startswith("en")
    assert "english" in open_utterances(out)


def test_a_turn_of_a_dialogue_gets_the_words_that_were_heard(tmp_path, spoken, p):
    corpus = small_corpus(tmp_path)
    clip, words = spoken[0]
    corpus.say("asked", clip, rate_hz=16_000, text="", role="question", transcript="missing")
    turns = [
        {"role": "user", "text": "", "utterances": ["asked"]},
        {"role": "assistant", "text": "it is green", "utterances": []},
    ]
    corpus.dialogues.append({"id": "d", "split": "train", "turns": turns, "tags": {}})
    (dialogue,) = open_dialogues(clean(corpus, p))
    assert jiwer.wer(words, dialogue.turns[0].text) < 0.3


def small_blocks(monkeypatch: pytest.MonkeyPatch, function: Callable) -> None:
    work = blocks.Work("measured", function, 2)
    monkeypatch.setattr("moss_speech.corpus.clean.run.MEASURING", work)


def test_a_run_that_ended_midway_goes_on_and_makes_the_same_bytes(tmp_path, spoken, p, monkeypatch):
    corpus = with_long(tmp_path, spoken, transcript="missing")
    for n, (clip, text) in enumerate(spoken):
        corpus.say(f"s{n}", clip, rate_hz=16_000, text=normalise(text))
    small_blocks(monkeypatch, MEASURING.function)
    unbroken = tree_digest(clean(corpus, p, "unbroken"))
    calls: list[str] = []

    def dies_at_the_second(utterances, root, p):
        calls.append(utterances[0].id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return MEASURING.function(utterances, root, p)

    small_blocks(monkeypatch, dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        clean(corpus, p)
    (corpus.root / "clean").rmdir()
    assert tree_digest(clean(corpus, p)) == unbroken
    assert calls.count(calls[0]) == 1, "the finished block was done again"


def test_a_file_that_changed_meanwhile_is_measured_again(tmp_path, p):
    corpus = small_corpus(tmp_path)
    clean(corpus, p)
    corpus.audio(f"{GOOD}.wav").write_bytes(b"no longer audio")
    out = tmp_path / "again"
    out.mkdir()
    clean_corpus(corpus.folder, tmp_path, p, 1, out, tmp_path / "clean-blocks")
    rows = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert [(r["id"], r["reason"]) for r in rows] == [(GOOD, "decode")]
