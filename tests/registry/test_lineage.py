"""From the corpus folders that the stages write to what the catalogue knows of them."""

from pathlib import Path

import pytest

from moss_speech.catalogue.data import find_dataset, sources_of, verdict_on, versions_that_heard
from moss_speech.catalogue.database import catalogue
from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.corpus.sources.manifests import Collected, Item, Source, count_by, write_corpus
from moss_speech.registry.lineage import record_data
from moss_speech.registry.versions import Candidate, register_candidate
from moss_speech.storage import write_jsonl
from tests.registry.candidates import make_candidate

pytestmark = pytest.mark.usefixtures("store")


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
def clean(store: Path) -> Path:
    folder = store / "data/clean"
    folder.mkdir(parents=True)
    write_jsonl(
        folder / "rejects.jsonl", [Reject("bad", "duration", "0.1 s", "0.3..20 s").to_json()]
    )
    return folder


def test_corpus_is_recorded_with_licence_consent_and_rejects(corpus: Path, clean: Path) -> None:
    digest = record_data(corpus, clean)
    with catalogue() as session:
        dataset = find_dataset(session, digest)
        (source,) = sources_of(session, dataset)
        good, bad = (verdict_on(session, dataset, name) for name in ("good", "bad"))
    assert (source.licence, source.consent, source.n_utterances) == ("Apache-2.0", "synthetic", 2)
    assert (good.kept, bad.kept, bad.reason, bad.allowed) == (True, False, "duration", "0.3..20 s")


def test_model_is_found_by_a_speaker_that_its_data_kept(corpus: Path, clean: Path) -> None:
    made = make_candidate("first")
    candidate = Candidate(made.bundle, made.metrics, made.report, record_data(corpus, clean))
    version = register_candidate(candidate)
    with catalogue() as session:
        heard = versions_that_heard(session, "espeak:f1")
        assert [v.version for v in heard] == [version]
        assert versions_that_heard(session, "espeak:f2") == []


def test_data_recorded_again_stay_as_they_are(corpus: Path, clean: Path) -> None:
    assert record_data(corpus, clean) == record_data(corpus, clean)
