import re
from pathlib import Path

import numpy as np
import pytest

from moss_speech.audio import write_audio
from moss_speech.evaluation.examples import Examples
from moss_speech.evaluation.page import TITLES, Extras, percent, render
from moss_speech.evaluation.scores import Record, figures, retention
from moss_speech.evaluation.sounds import clip, outline, spectrogram
from moss_speech.evaluation.statistics import Sampling
from moss_speech.evaluation.suites import Item
from moss_speech.params.evaluate import PageParams
from moss_speech.storage import read_json, read_jsonl, write_json, write_jsonl

RATE_HZ = 24000
ANSWERS = ["it is green", "it is blue"]
HOW = Sampling(resamples=100, confidence=0.95, seed=0)
PAGE = PageParams(failures=5, successes=5, spectrograms=1, max_bytes=4_000_000)


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(int(seconds * RATE_HZ)) * 0.1)).astype(np.float32)


def record(cell: str, n: int, heard: str, reply: str = "speech") -> Record:
    item = Item(
        f"{cell}/{n}", cell, "speech", reply, "what color is <grass>", "it is green", f"fact{n}",
        "espeak-ng:m5", "8", f"u{n}", 0.5,
    )  # fmt: skip
    if reply == "text":
        return Record(item, text=heard, question_audio=f"{n}.flac")
    sounds = {"audio": f"{n}.flac", "question_audio": f"{n}.flac"}
    return Record(item, whisper=heard, sphinx=heard, nearest=heard, nearest_edits=0, **sounds)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved run of five items and their sounds."""
    for n in range(5):
        write_audio(tmp_path / f"{n}.flac", tone(0.5 + n / 10), RATE_HZ)
    records = [
        record("t2s", 0, "it is blue"),
        record("s2s", 1, "it is blue"),
        record("s2s", 2, "it is green"),
        record("s2t", 3, "it is blue", reply="text"),
        record("t2t", 4, "it is green", reply="text"),
    ]
    report = {
        **figures(records, ANSWERS, HOW),
        "text": retention(records[4:], records[4:], ANSWERS, HOW),
        "tokenizer": {"word_error": {}, "codes_used": 0.5, "n_codes": 512, "perplexity": 99.5},
        "codec": {"rates": {"bits_per_s": 112.5, "bits_per_s_used": 82.9}, "heard": {}},
        "corpus": {
            "composition": [],
            "rejects": {"rows": [], "reasons": {}, "deliberate": 0, "deliberate_caught": 0},
        },
        "answers": ANSWERS,
        "method": {
            "bundle": "ab" * 32,
            "seed": 1,
            "decoding": "greedy",
            "resamples": 100,
            "confidence": 0.95,
            "goals": {"s2s": 0.8, "t2t": 0.98},
            "judges": {"whisper": "w", "sphinx": "s"},
        },
    }
    write_json(tmp_path / "report.json", report)
    write_jsonl(tmp_path / "items.jsonl", [r.to_json() for r in records])
    return tmp_path


def examples(folder: Path, p: PageParams = PAGE) -> Examples:
    records = [Record.from_json(row) for row in read_jsonl(folder / "items.jsonl")]
    return Examples(folder, folder, records, ANSWERS, p)


def test_failures_come_hardest_cell_first(folder):
    failed = examples(folder).failures(TITLES)
    assert [e.cell for e in failed] == [TITLES["s2s"], TITLES["t2s"], TITLES["s2t"]]
    assert [e.text for e in failed] == [None, None, "it is blue"]
    assert not any(h.right for h in failed[0].heard)


def test_hero_is_a_right_answer_that_can_be_heard(folder):
    hero = examples(folder).hero()
    assert hero is not None
    assert hero.right
    assert hero.question_clip is not None
    assert hero.answer_clip is not None


def test_a_full_page_leaves_sound_out_and_keeps_the_items(folder):
    failed = examples(folder, PAGE.model_copy(update={"max_bytes": 500})).failures(TITLES)
    assert len(failed) == 3
    assert all(e.answer_clip is None for e in failed)


def test_page_escapes_what_was_said(folder):
    page = render(folder, folder, PAGE, Extras())
    assert "&lt;grass&gt;" in page
    assert "<grass>" not in page


def test_page_says_which_goals_are_met(folder):
    page = render(folder, folder, PAGE, Extras())
    verdicts = re.findall(r'<span class="verdict (met|missed)">', page)
    assert verdicts == ["met", "missed"]  # t2t first, then s2s at 50 %


def test_latency_and_curves_appear_only_where_given(folder):
    plain = render(folder, folder, PAGE, Extras())
    extras = Extras({"first_audio_s": 0.31, "n": 5}, {"joint/loss": [(1, 4.0), (9, 0.5)]})
    rich = render(folder, folder, PAGE, extras)
    assert 'id="latency"' not in plain
    assert 'id="curves"' not in plain
    assert "0.31 s" in rich
    assert "joint/loss" in rich


def test_codec_has_a_section_where_something_was_heard(folder):
    plain = render(folder, folder, PAGE, Extras())
    report = read_json(folder / "report.json")
    kind = {"word_error": {"value": 0.25, "ci95": [0.1, 0.4], "n": 7, "whisper": 0.25}}
    kinds = {"truth": kind, "whole": kind, "stream": kind}
    report["codec"]["heard"] = {"people": {"assistant": kinds}}
    write_json(folder / "report.json", report)
    rich = render(folder, folder, PAGE, Extras())
    assert 'id="codec"' not in plain
    assert "recordings of people; spoken by assistant" in rich
    assert rich.count("0.10–0.40") == 3


@pytest.mark.parametrize(
    ("value", "text"), [(1, "100"), (0.925, "92.5"), (0, "0"), (0.9999, "100")]
)
def test_shares_read_as_per_cent(value, text):
    assert percent(value) == f"{text}\N{NARROW NO-BREAK SPACE}%"


def test_clips_keep_length_and_shape_of_the_sound():
    sound = np.concatenate([np.zeros(RATE_HZ, np.float32), tone(1.0)])
    packed = clip(sound, RATE_HZ)
    assert packed.duration_s == 2.0
    assert packed.data_uri.startswith("data:audio/mpeg;base64,")
    assert max(packed.outline[:23]) == 0 < min(packed.outline[25:])
    assert outline(np.zeros(0, np.float32)).max() == 0


def test_equal_sounds_give_equal_pictures():
    assert spectrogram(tone(0.5), RATE_HZ) == spectrogram(tone(0.5), RATE_HZ)
    assert spectrogram(tone(0.5), RATE_HZ).startswith("data:image/png;base64,")
