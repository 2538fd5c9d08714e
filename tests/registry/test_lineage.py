"""From the corpus folders that the stages write to what the catalogue knows of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from moss_speech.catalogue.consents import consents
from moss_speech.catalogue.data import find_dataset, sources_of, verdict_on
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.lineage import runs_of, versions_that_heard
from moss_speech.cli.main import app
from moss_speech.corpus.clean.verdicts import Reject
from moss_speech.registry.lineage import record_data
from moss_speech.registry.tracking import PARENT_TAG, filed_run, link_skipped, pipeline_run
from moss_speech.registry.versions import Candidate, register_candidate
from moss_speech.storage import tree_digest, write_jsonl
from tests.registry.candidates import make_candidate

pytestmark = pytest.mark.usefixtures("store")


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


def test_verdict_on_an_utterance_is_told_with_the_version_that_was_made_of_it(
    corpus: Path, clean: Path
) -> None:
    digest = record_data(corpus, clean)
    version = str(register_candidate(replace(make_candidate("first"), dataset=digest)))

    def told(*words: str) -> Result:
        return CliRunner().invoke(app, ["lineage", "verdict", *words])

    at = f"data {digest[:12]}"
    rejected = "rejected: duration is 0.1 s, allowed is 0.3..20 s"
    assert told(version, "bad").stdout == f"{at}  speaker espeak:f2  {rejected}\n"
    assert told(version, "good").stdout == f"{at}  speaker espeak:f1  kept\n"
    facts = json.loads(told(version, "bad", "--json").stdout)
    assert (facts["data"], facts["kept"], facts["reason"]) == (digest, False, "duration")
    assert (
        told(version, "other").stdout == f"no data of version {version} has the utterance 'other'\n"
    )
    unknown = told("7", "bad")
    assert unknown.exit_code == 1
    assert "no model version 7; registered are [1]" in unknown.stderr


def test_data_recorded_again_stay_as_they_are(corpus: Path, clean: Path) -> None:
    assert record_data(corpus, clean) == record_data(corpus, clean)


def test_declared_consent_of_a_source_is_recorded_once(corpus: Path, clean: Path) -> None:
    record_data(corpus, clean)
    record_data(corpus, clean)
    with catalogue() as session:
        (row,) = consents(session)
    assert (row.source, row.state, row.terms) == ("voices", "given", "synthetic")


def test_cut_of_a_long_recording_belongs_to_its_speaker(corpus: Path, clean: Path) -> None:
    rows = [Reject(f"bad-{n:04d}", "duration", "0.1 s", "0.3..20 s").to_json() for n in (0, 1)]
    write_jsonl(clean / "rejects.jsonl", rows)
    digest = record_data(corpus, clean)
    with catalogue() as session:
        verdict = verdict_on(session, find_dataset(session, digest), "bad-0001")
    assert verdict is not None
    assert (verdict.speaker, verdict.kept) == ("espeak:f2", False)


def test_runs_of_a_pipeline_and_the_folders_in_them_are_kept_with_the_version(
    corpus: Path, clean: Path
) -> None:
    digest, made = record_data(corpus, clean), make_candidate("first")
    with pipeline_run({}) as parent:
        tags = {"moss.stage": "pack", PARENT_TAG: parent, "moss.input.clean": digest}
        with filed_run("pack", tags) as tracker:
            tracker.params({"seed": 1})
        link_skipped(parent, "nothing", "unknown")
        version = register_candidate(made, parent)
    with catalogue() as session:
        runs = {run.stage: run for run in runs_of(session, version)}
        assert set(runs) == {"pack", "nothing"}
        assert (runs["pack"].inputs, runs["pack"].params) == ({"clean": digest}, {"seed": "1"})
        assert [h.version for h in versions_that_heard(session, "espeak:f1")] == [version]


def test_next_version_that_began_with_this_one_is_its_child(corpus: Path, clean: Path) -> None:
    first, second = make_candidate("first"), make_candidate("second")
    one = register_candidate(replace(first, dataset=record_data(corpus, clean)))
    with pipeline_run({}) as parent:
        tags = {PARENT_TAG: parent, "moss.input.lm": tree_digest(first.bundle / "lm")}
        with filed_run("finetune", tags):
            pass
        two = register_candidate(second, parent)
    with catalogue() as session:
        heard = {h.version: h.through for h in versions_that_heard(session, "espeak:f1")}
    assert heard == {one: (), two: (one,)}
