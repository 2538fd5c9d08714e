import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moss_speech.evaluation.pages.examples import Examples
from moss_speech.evaluation.pages.render import percent
from moss_speech.evaluation.pages.rows import TITLES
from moss_speech.evaluation.pages.saved import open_evaluation
from moss_speech.evaluation.pages.single import render_single
from moss_speech.evaluation.pages.sounds import Sounds, clip, outline, spectrogram
from moss_speech.evaluation.pages.subject import Subject
from moss_speech.params.evaluate import PageParams
from moss_speech.storage import read_json, write_json
from tests.evaluation.saved import RATE_HZ, tone, write_evaluation

PAGE = PageParams(failures=5, successes=5, spectrograms=1, max_bytes=4_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved run of five items and their sounds."""
    return write_evaluation(tmp_path)


def examples(folder: Path, p: PageParams = PAGE) -> Examples:
    return Examples(open_evaluation(folder, folder), TITLES, p, Sounds(p.max_bytes))


def page_of(folder: Path, **more: Any) -> str:
    return render_single(Subject("test", open_evaluation(folder, folder), **more), PAGE)


def test_failures_come_hardest_cell_first(folder):
    failed = examples(folder).failures()
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
    failed = examples(folder, PAGE.model_copy(update={"max_bytes": 500})).failures()
    assert len(failed) == 3
    assert all(e.answer_clip is None for e in failed)


def test_page_escapes_what_was_said(folder):
    page = page_of(folder)
    assert "&lt;grass&gt;" in page
    assert "<grass>" not in page


def test_page_says_which_goals_are_met(folder):
    page = page_of(folder)
    verdicts = re.findall(r'<span class="verdict (met|missed)">', page)
    assert verdicts == ["met", "missed"]  # t2t first, then s2s at 50 %


def test_latency_and_curves_appear_only_where_given(folder):
    plain = page_of(folder)
    latency, curves = {"first_audio_s": 0.31, "n": 5}, {"joint/loss": [(1, 4.0), (9, 0.5)]}
    rich = page_of(folder, latency=latency, curves=curves)
    assert 'id="latency"' not in plain
    assert 'id="curves"' not in plain
    assert "0.31 s" in rich
    assert "joint/loss" in rich


def test_codec_has_a_section_where_something_was_heard(folder):
    plain = page_of(folder)
    report = read_json(folder / "report.json")
    kind = {"word_error": {"value": 0.25, "ci95": [0.1, 0.4], "n": 7, "whisper": 0.25}}
    kinds = {"truth": kind, "whole": kind, "stream": kind}
    report["codec"]["heard"] = {"people": {"assistant": kinds}}
    write_json(folder / "report.json", report)
    rich = page_of(folder)
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
