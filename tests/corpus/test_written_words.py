"""What is personal in a written text is found, although the corpus holds its words spelt out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from moss_speech.audio import SPEAKING, write_audio
from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.items import open_dialogues, open_utterances
from moss_speech.corpus.sources.kinds import open_source
from moss_speech.corpus.sources.manifests import write_corpus
from moss_speech.corpus.synthesis.converse import Conversations, Planned
from moss_speech.corpus.synthesis.read_aloud import passages_of
from moss_speech.corpus.synthesis.rewriting import RuleRewriter
from moss_speech.corpus.synthesis.rows import Row
from moss_speech.params.base import load_section, validate_section
from moss_speech.params.clean import Clean
from moss_speech.params.sources import OneSource, SplitShares
from moss_speech.settings import settings
from moss_speech.speech.personal import find_personal
from moss_speech.speech.text import normalise
from moss_speech.storage import read_jsonl
from tests.bad_input.corpora import speech
from tests.synthesis.sources import instructions, texts

_DEMO = load_section(Path(__file__).parents[2] / "presets" / "demo.yaml", "clean", Clean)
P = _DEMO.model_copy(
    update={"personal_data": "reject", "sample": 0, "max_reject_share": 1.0, "threads": 1}
)
SHARES = SplitShares(train=0.5, dev=0.25, test=0.25)
WRITTEN = {
    "number": "my number is 123-45-6789",
    "server": "the server is 192.168.10.25",
    "mail": "write to john@example.co.uk",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project root."""
    monkeypatch.setenv("MOSS_ROOT", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def cleaned(root: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """A folder of recordings brought in and cleaned: where, and why what is gone."""
    values = {"kind": "folder", "name": "it", "path": folder.name, "licence": "CC0"}
    values |= {"consent": "said yes", "speaker": "ann", "split": "train", "language": "en"}
    source = validate_section({"source": values}, OneSource, "").source
    corpus, out = root / "data" / "corpus", root / "clean"
    (corpus / "audio").mkdir(parents=True)
    out.mkdir()
    opened = open_source(source, root, SHARES, corpus / "audio")
    write_corpus(corpus, Path("data/corpus"), [opened])
    clean_corpus(corpus, root, P, 1, out, root / "blocks")
    return out, {row["id"]: row["reason"] for row in read_jsonl(out / "rejects.jsonl")}


@pytest.mark.parametrize("name", WRITTEN)
def test_these_cannot_be_told_from_what_normalise_leaves(name: str) -> None:
    assert find_personal(WRITTEN[name]) is not None
    assert find_personal(normalise(WRITTEN[name])) is None


def test_transcripts_are_screened_as_they_were_written(root: Path) -> None:
    folder = root / "mine"
    folder.mkdir()
    for name, text in (WRITTEN | {"fine": "what color is grass"}).items():
        write_audio(folder / f"{name}.wav", speech(text), SPEAKING.sample_rate_hz)
        (folder / f"{name}.txt").write_text(text)
    out, reasons = cleaned(root, folder)
    assert reasons == {f"it-{name}": "personal data" for name in WRITTEN}
    assert list(open_utterances(out)) == ["it-fine"]
    assert "example" not in (out / "rejects.jsonl").read_text()


def test_turns_are_screened_as_they_were_written(root: Path) -> None:
    folder = root / "mine"
    folder.mkdir()
    write_audio(folder / "spoken.wav", speech(), SPEAKING.sample_rate_hz)
    asked = [{"text": text} for text in WRITTEN.values()]
    asked += [{"text": "what color is grass"}, {"audio": "spoken.wav"}]
    (folder / "spoken.txt").write_text(WRITTEN["server"])
    answer = {"role": "assistant", "text": "it is green"}
    rows = [{"turns": [{"role": "user", **turn}, answer]} for turn in asked]
    (folder / "dialogues.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out, reasons = cleaned(root, folder)
    assert set(reasons.values()) == {"personal data"} and len(reasons) == 5
    assert [d.turns[0].text for d in open_dialogues(out)] == ["what color is grass"]


def test_what_a_synthesiser_is_to_say_is_screened_as_it_was_written() -> None:
    row = Row("a", 1, {"instruction": WRITTEN["mail"], "output": WRITTEN["server"]})
    p = instructions()
    (told,) = Conversations(p, RuleRewriter(p), 1).plan([row])
    assert isinstance(told, Planned)
    tags = [told.dialogue.tags, *(line.tags for line in told.lines)]
    assert all("personal" in found for found in tags)
    text = f"The dog sleeps. {WRITTEN['server'].capitalize()}."
    (read,) = passages_of(row, text, texts(spoken_share=1.0), 1)
    assert ["personal" in line.tags for line in read.lines] == [False, True]
