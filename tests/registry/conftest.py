"""A small corpus of two speakers, one of them rejected, and its clean folder."""

from pathlib import Path

import pytest

from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.corpus.manifests import open_corpus_cuts, write_manifest
from moss_speech.corpus.sources.manifests import Collected, Item, Source, count_by, write_corpus
from moss_speech.storage import write_jsonl


def item(name: str, speaker: str) -> Item:
    return Item(
        name, f"{name}.flac", 24000, 24000, "a word", speaker, "question", "train", "train", {}
    )


@pytest.fixture
def corpus(store: Path) -> Path:
    folder = store / "data/corpus"
    folder.mkdir(parents=True)
    items = [item("good", "espeak:f1"), item("bad", "espeak:f2")]
    source = Source("voices", "Apache-2.0", "synthetic", True, count_by(items, "speaker"))
    write_corpus(folder, Path("data/corpus"), [Collected(source, items, [])])
    return folder


@pytest.fixture
def clean(store: Path, corpus: Path) -> Path:
    folder = store / "data/clean"
    folder.mkdir(parents=True)
    cuts = (cut for cut in open_corpus_cuts(corpus) if cut.id == "good")
    write_manifest(folder / "cuts.jsonl.gz", cuts)
    write_jsonl(
        folder / "rejects.jsonl", [Reject("bad", "duration", "0.1 s", "0.3..20 s").to_json()]
    )
    return folder
