import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from moss_speech.audio import SPEAKING, Samples, write_audio
from moss_speech.bundle import Bundle
from moss_speech.corpus.items import Role, Split
from moss_speech.corpus.manifests import open_corpus_cuts, write_manifest
from moss_speech.corpus.sources.manifests import Collected, Item, Source, write_corpus
from moss_speech.params.base import load_section
from moss_speech.records import SilentTracker
from moss_speech.settings import settings
from moss_speech.stages import bundle as stage
from moss_speech.stages.runner import StageIO, declaration
from moss_speech.storage import tree_digest
from tests.tiny_bundle import speech_like, spoken, tiny_models

ROOT = Path(__file__).parents[2]
RATE_HZ = SPEAKING.sample_rate_hz


def _item(folder: Path, name: str, samples: Samples, role: Role, split: Split) -> Item:
    write_audio(folder / "audio" / f"{name}.flac", samples, RATE_HZ)
    tags = {"synthesizer": "espeak-ng"}
    size = samples.size
    return Item(
        name, f"{name}.flac", size, RATE_HZ, name, "espeak-ng:f4", role, split, "train", tags
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project root with a corpus of a few sounds and models of random weights."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    values = yaml.safe_load((ROOT / "presets/tiny.yaml").read_text())
    sections = declaration(tmp_path, "bundle").sections
    values |= {name: {"threads": 1} for name in sections if name not in values}
    values["bundle"]["prompt_s"] = 1.5
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    corpus, clean = tmp_path / "data/corpus", tmp_path / "data/clean"
    (corpus / "audio").mkdir(parents=True)
    items = [
        _item(corpus, "answer-short", speech_like(1.1, RATE_HZ), "answer", "train"),
        _item(corpus, "answer-near", speech_like(1.4, RATE_HZ, 1), "answer", "train"),
        _item(corpus, "answer-held-out", speech_like(1.5, RATE_HZ, 2), "answer", "test"),
        _item(corpus, "question-a", spoken(rate_hz=RATE_HZ), "question", "train"),
    ]
    source = Source("hum", "CC0-1.0", "nobody's voice", True, {"espeak-ng": len(items)})
    write_corpus(corpus, Path("data/corpus"), [Collected(source, items, [])])
    clean.mkdir()
    write_manifest(clean / "cuts.jsonl.gz", open_corpus_cuts(corpus))
    tiny_models(tmp_path / "models")
    (tmp_path / "models/start").mkdir()
    (tmp_path / "models/start/nothing.txt").write_text("no start")
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def run(root: Path) -> Path:
    section = load_section(root / "params.yaml", "bundle", stage.Section)
    declared = declaration(root, "bundle")
    io = StageIO(declared.inputs, declared.output, root / "runs", SilentTracker(), 1)
    stage.run(section, io)
    return declared.output


def test_voice_is_the_training_answer_of_the_wanted_length(root: Path) -> None:
    bundle = Bundle.open(run(root))
    voice = bundle.voices["assistant"]
    assert voice.rights.licence == "CC0-1.0"
    assert voice.prompt.size == 1.4 * RATE_HZ
    assert np.abs(voice.prompt - speech_like(1.4, RATE_HZ, 1)).max() < 1e-3


def test_card_tells_parents_params_and_consent_and_a_rerun_changes_nothing(root: Path) -> None:
    folder = run(root)
    about = Bundle.open(folder).card.about
    parts = {"codec", "decoder", "vocoder", "lm"}
    assert set(about.parents) == {"clean", "corpus", "start", *parts}
    assert about.params["bundle"]["voice"] == "assistant"
    assert about.sources[0]["consent"] == "nobody's voice"
    first = tree_digest(folder)
    assert tree_digest(run(root)) == first


def test_corpus_without_training_answers_is_refused_and_nothing_written(root: Path) -> None:
    cuts = open_corpus_cuts(root / "data/corpus")
    held_out = [cut for cut in cuts if "held-out" in cut.id]
    write_manifest(root / "data/clean/cuts.jsonl.gz", held_out)
    with pytest.raises(ValueError, match="holds 0 training answers"):
        run(root)
    assert not (root / "models/bundle").exists()
