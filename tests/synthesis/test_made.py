"""Real synthesisers and the real recogniser: what is made, what is dropped, and being killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from moss_speech.audio import read_audio
from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.items import open_dialogues, open_utterances
from moss_speech.corpus.manifests import open_corpus_cuts
from moss_speech.corpus.passages import open_passages
from moss_speech.corpus.sources.collect import collect_corpus
from moss_speech.corpus.synthesis.rendering import Block
from moss_speech.params.base import validate_section
from moss_speech.params.clean import Clean
from moss_speech.params.corpus import Corpus
from moss_speech.speech.recognisers import Whisper
from moss_speech.storage import read_json, read_jsonl, tree_digest, write_jsonl
from tests.synthesis.sources import INSTRUCTIONS, TEXTS

ROWS = [
    {"instruction": "What color is **grass**?", "output": "The grass is green in the summer."},
    {
        "instruction": "What is the color of the river?",
        "output": "Zvrkstpl mxqwz brgh kltsch xvorg.",
    },
    {"instruction": "Where does the dog sleep?", "output": "The dog sleeps in 1 house."},
]
TEXT = {"text": "The dog sleeps in the house. The cat plays in the garden.", "score": 4}


def corpus(*sources: dict[str, Any]) -> Corpus:
    shares = {"train": 0.9, "dev": 0.05, "test": 0.05}
    values = {"threads": 1, "embedded": None, "human_test": False, "sources": []}
    values |= {"split_shares": shares}
    return validate_section({**values, "synthesised": list(sources)}, Corpus, "corpus")


def collect(p: Corpus, out: Path) -> dict[str, float]:
    out.mkdir()
    return collect_corpus(p, 1, out, Path(out.name))


@pytest.fixture
def rows(root: Path) -> Path:
    write_jsonl(root / "rows.jsonl", ROWS)
    write_jsonl(root / "texts.jsonl", [TEXT])
    return root


def test_dialogues_and_passages_are_made_and_what_is_misheard_is_dropped(
    rows: Path, cleaning: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rows)
    p = corpus(INSTRUCTIONS, {**TEXTS, "path": "texts.jsonl", "spoken_share": 1.0})
    counts = collect(p, rows / "corpus")
    dialogues, (passage,) = open_dialogues(rows / "corpus"), open_passages(rows / "corpus")
    assert [d.turns[1].text for d in dialogues] == [
        "the grass is green in the summer",
        "the dog sleeps in one house",
    ]
    assert counts == {"items/sets": 4, "items/web": 2}
    assert read_json(rows / "corpus" / "dropped.json") == {"sets": {"word error": 1}, "web": {}}
    (dropped,) = read_jsonl(rows / "corpus" / "dropped.jsonl")
    assert dropped["item"] == "sets-0000002-01" and float(dropped["value"]) >= 0.2
    assert passage.text == TEXT["text"]

    (rows / "clean").mkdir()
    clean_corpus(rows / "corpus", rows, cleaning, 1, rows / "clean", rows / "blocks")
    kept = open_utterances(rows / "clean")
    assert {u.speaker for u in kept.values() if u.role == "answer"} == {"flite:slt"}
    assert {u.tags["source"] for u in kept.values()} == {"sets", "web"}
    assert [open_passages(rows / "clean")[0].text] == [TEXT["text"]]
    whisper = Whisper("whisper-tiny.en")
    answers = {d.turns[1].utterances[0]: d.turns[1].text for d in open_dialogues(rows / "clean")}
    heard = whisper.transcribe([kept[id_].read(16000, rows) for id_ in answers])
    assert heard == list(answers.values())


def test_source_of_which_nothing_is_left_names_the_reasons(rows: Path) -> None:
    write_jsonl(rows / "rows.jsonl", ROWS[1:2])
    with pytest.raises(ValueError, match=r"rows\.jsonl: nothing of it is left.*'word error': 1"):
        collect(corpus(INSTRUCTIONS), rows / "out")


def test_voice_that_a_synthesiser_lacks_ends_the_run_by_its_name(rows: Path) -> None:
    voices = [{"synthesizer": "flite", "names": ["nobody"]}]
    with pytest.raises(ValueError, match="flite has no voice 'nobody'; it has kal"):
        collect(corpus({**INSTRUCTIONS, "voices": voices}), rows / "out")


def test_what_is_kept_is_not_made_again_and_other_voices_are(rows: Path) -> None:
    collect(corpus(INSTRUCTIONS), rows / "a")
    blocks = rows / "state" / "synthesis" / "speech"
    before = {path: path.stat().st_mtime_ns for path in blocks.rglob("*.flac")}
    collect(corpus(INSTRUCTIONS), rows / "b")
    assert before == {path: path.stat().st_mtime_ns for path in blocks.rglob("*.flac")}
    assert tree_digest(rows / "a" / "audio") == tree_digest(rows / "b" / "audio")
    other = {**INSTRUCTIONS, "assistant": {"synthesizer": "flite", "names": ["kal16"]}}
    collect(corpus(other), rows / "c")
    assert len(list(blocks.iterdir())) > len({path.parent for path in before})


PROGRAM = """
import sys
from pathlib import Path
from tests.synthesis.test_made import INSTRUCTIONS, collect, corpus
collect(corpus(INSTRUCTIONS), Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_at_any_time_the_next_run_gives_the_same_bytes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["red", "blue", "green", "black", "white", "brown", "gray", "pink"]
    things = ["house", "garden", "river", "mountain", "table", "window", "flower", "horse"]
    rows = [
        {"instruction": f"Is the {t} {w}?", "output": f"Yes, the {t} is {w}."}
        for w in words
        for t in things
    ]
    write_jsonl(root / "rows.jsonl", rows)
    blocks = root / "state" / "synthesis" / "speech"

    def run(out: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", PROGRAM, str(root / out)], env=os.environ)

    process = run("killed")
    deadline = time.monotonic() + 300
    while not (blocks.is_dir() and any(not p.name.startswith(".") for p in blocks.iterdir())):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = [p for p in blocks.iterdir() if not p.name.startswith(".")]
    assert run("resumed").wait() == 0
    assert len(done) < len([p for p in blocks.iterdir() if not p.name.startswith(".")])
    monkeypatch.setenv("MOSS_STATE_FOLDER", str(root / "fresh"))
    assert run("unbroken").wait() == 0
    for name in ("audio", "dialogues.jsonl", "dropped.jsonl"):
        parts = [root / run_ / name for run_ in ("resumed", "unbroken")]
        digests = [tree_digest(p) if p.is_dir() else p.read_bytes() for p in parts]
        assert digests[0] == digests[1]


def test_block_is_named_by_all_that_decides_it() -> None:
    assert Block(1, "whisper-base", ()).name != Block(2, "whisper-base", ()).name
    assert Block(1, "whisper-base", ()).name != Block(1, "whisper-tiny.en", ()).name


def test_spoken_files_hold_speech_between_pauses(rows: Path) -> None:
    collect(corpus(INSTRUCTIONS), rows / "out")
    cut = next(open_corpus_cuts(rows / "out"))
    samples = read_audio(rows / cut.recording.sources[0].source, 24000)
    assert len(samples) == cut.recording.num_samples
    assert not samples[:3000].any() and samples[4000:].any()
