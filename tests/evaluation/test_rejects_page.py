"""The page of rejects: players by reason, capped, nothing personal, whatever the corpus holds."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from moss_speech.cli import app
from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.evaluation.pages import rejects as rejects_page
from moss_speech.evaluation.pages.rejects import render_rejects
from moss_speech.params.base import load_section
from moss_speech.params.clean import Clean
from tests.bad_input.corpora import SmallCorpus, small_corpus, speech

P = load_section(Path(__file__).parents[2] / "presets" / "demo.yaml", "clean", Clean)
SECRET = "jane at example dot com"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root whose corpus of bad items was cleaned."""
    root = tmp_path_factory.mktemp("root")
    corpus = small_corpus(root)
    for n in range(5):
        corpus.say(f"loud{n}", np.clip(speech() * (40 + n), -1, 1), text="<b>loud</b>")
    corpus.say("long", np.tile(speech(), 20), role="answer")
    corpus.say("secret", speech("nothing to see here"), text=SECRET)
    _unreadable(corpus)
    turns = [
        {"role": r, "text": t, "utterances": []} for r, t in (("user", ""), ("assistant", "x"))
    ]
    corpus.dialogues.append({"id": "talk", "split": "train", "turns": turns, "tags": {}})
    changes = {"threads": 1, "sample": 0, "max_reject_share": 1.0, "personal_data": "reject"}
    out = root / "data" / "clean"
    out.mkdir()
    clean_corpus(corpus.write(), root, P.model_copy(update=changes), 1, out, root / "blocks")
    return root


def _unreadable(corpus: SmallCorpus) -> None:
    os.mkfifo(corpus.audio("pipe.wav"))
    corpus.declare("pipe", corpus.audio("pipe.wav"), seconds=-1.0)
    corpus.audio("text.wav").write_bytes(b"no audio")
    corpus.declare("text", corpus.audio("text.wav"))


def players(page: str) -> int:
    return page.count('class="clip"')


def test_every_reason_has_its_items_with_players_values_and_limits(root: Path) -> None:
    page = render_rejects(root / "data" / "clean", root, None, each=12)
    headings = set(re.findall(r"<h2 id=\"([\w-]+)\"", page))
    assert headings == {"clipping", "duration", "decode", "personal-data", "turn"}
    assert players(page) == 6  # five clipped, one long
    assert "&lt;b&gt;loud" in page and "<b>loud" not in page
    assert "0.3..15 s" in page and "the first 12 of" in page
    assert "http" not in page.replace("http-equiv", "")


def test_personal_data_is_neither_shown_nor_played(root: Path) -> None:
    page = render_rejects(root / "data" / "clean", root, "personal data", each=12)
    assert SECRET not in page and "secret" in page and players(page) == 0


def test_a_reason_is_capped_and_says_so(root: Path) -> None:
    page = render_rejects(root / "data" / "clean", root, "clipping", each=2)
    assert players(page) == 2 and "5 rejected, 2 of them here" in page


def test_a_full_page_goes_on_without_players(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects_page, "MAX_BYTES", 1)
    page = render_rejects(root / "data" / "clean", root, "clipping", each=12)
    assert players(page) == 1 and page.count("the page is full") == 4


def test_unknown_reason_is_refused_by_those_there_are(root: Path) -> None:
    with pytest.raises(ValueError, match="nothing was rejected for 'colour'; there is clipping, "):
        render_rejects(root / "data" / "clean", root, "colour", each=12)


def test_command_writes_the_page_where_it_is_told(project_root: Path, root: Path) -> None:
    missing = CliRunner().invoke(app, ["data", "rejects"])
    assert missing.exit_code == 1 and "`dvc repro clean` makes it" in missing.output
    (project_root / "data").symlink_to(root / "data")
    done = CliRunner().invoke(
        app, ["data", "rejects", "--reason", "clipping", "--out", "page.html"]
    )
    assert done.exit_code == 0, done.output
    assert players((project_root / "page.html").read_text()) == 5
