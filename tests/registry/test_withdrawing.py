"""To forget a speaker: recorded, exported, shown on versions, refused by gates, given again."""

import dataclasses
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moss_speech.catalogue.consents import Whose, consents
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.deployments import open_deployment
from moss_speech.catalogue.tables import now
from moss_speech.cli.main import app
from moss_speech.corpus.clean.withdrawn import FILE, Withdrawal, read_withdrawn
from moss_speech.registry.affected import affected_by
from moss_speech.registry.lineage import record_data
from moss_speech.registry.promotion import champion, rollback
from moss_speech.registry.store import MODEL, tracking_client
from moss_speech.registry.versions import register_candidate
from moss_speech.registry.withdrawing import WITHDRAWN_TAG, forget, give
from moss_speech.settings import settings
from moss_speech.storage import tree_digest, write_bytes, write_json
from tests.registry.candidates import make_candidate, promote

GOOD = Whose(speaker="espeak:f1")


@pytest.fixture
def root(store: Path, corpus: Path, clean: Path) -> Path:
    """A project in which version 1 heard both speakers but kept one, and version 2 heard nobody."""
    first = dataclasses.replace(make_candidate("first"), dataset=record_data(corpus, clean))
    assert register_candidate(first) == 1
    assert register_candidate(make_candidate("second")) == 2
    return store


def tag(version: int) -> str | None:
    tags = tracking_client().get_model_version(MODEL, str(version)).tags
    found = tags.get(WITHDRAWN_TAG)
    return None if found is None else str(found)


def test_forgotten_speaker_is_exported_shown_and_refused_by_the_gates(root: Path) -> None:
    forget(GOOD, "letter 17", "me", root)
    assert read_withdrawn(root / FILE) == [Withdrawal(speaker="espeak:f1")]
    assert "speaker espeak:f1" in str(tag(1))
    assert tag(2) is None
    refused = promote(1, "anna")
    assert refused.result == "refused"
    assert "heard who withdrew consent: speaker espeak:f1" in refused.reason
    assert promote(2, "anna").result == "committed"


def test_champion_is_shown_as_affected_and_never_gone_back_to(root: Path) -> None:
    promote(1, "anna")
    promote(2, "anna")
    forget(GOOD, "letter 17", "me", root)
    assert rollback("anna").result == "refused"
    now_champion = champion()
    assert now_champion is not None
    assert now_champion.version == 2


def test_model_registered_after_the_withdrawal_is_refused_too(root: Path) -> None:
    forget(GOOD, "letter 17", "me", root)
    again = dataclasses.replace(make_candidate("third"), dataset=tree_digest(root / "data/clean"))
    assert promote(register_candidate(again), "anna").result == "refused"


def test_forgetting_again_adds_nothing_and_mends_file_and_tag(root: Path) -> None:
    forget(GOOD, "letter 17", "me", root)
    (root / FILE).unlink()
    tracking_client().delete_model_version_tag(MODEL, "1", WITHDRAWN_TAG)
    forget(GOOD, "letter 18", "me", root)
    assert tag(1) is not None
    assert len(read_withdrawn(root / FILE)) == 1
    with catalogue() as session:
        assert [row.terms for row in consents(session, "espeak:f1")] == ["letter 17"]


def test_consent_given_again_lifts_everything(root: Path) -> None:
    forget(GOOD, "letter 17", "me", root)
    give(GOOD, "form 4", "me", root)
    assert read_withdrawn(root / FILE) == []
    assert tag(1) is None
    assert promote(1, "anna").result == "committed"


def test_unknown_name_is_refused_with_similar_ones(root: Path) -> None:
    with pytest.raises(ValueError, match=r"a speaker 'espeak:f7'; similar ones are espeak:f"):
        forget(Whose(speaker="espeak:f7"), "x", "me", root)
    with pytest.raises(ValueError, match="a source 'team'"):
        forget(Whose("team"), "x", "me", root)


def test_everything_that_a_withdrawal_touches_is_listed(root: Path) -> None:
    promote(1, "anna")
    digest = champion().digest
    with catalogue() as session:
        open_deployment(session, "1", digest, "host:7", now())
    label = f"labels:\n  model_digest: {digest[:12]}\n"
    write_bytes(settings().state / "bentoml/bentos/moss/one/bento.yaml", label.encode())
    write_bytes(settings().state / "bentoml/bentos/moss/two/bento.yaml", b"labels: {}\n")
    lock = b"stages:\n  clean:\n    outs:\n    - path: data/clean\n"
    write_bytes(root / "dvc.lock", lock)
    for name, caller in (("a", "espeak:f1"), ("b", "phone")):
        turn = root / f"recordings/2026-05-01/{name}/turn.json"
        write_json(turn, {"caller": {"id": "k", "name": caller}})
    write_bytes(root / "voices/espeak:f1/voice.json", b"{}")
    found = affected_by(GOOD, root)
    assert found.datasets == [tree_digest(root / "data/clean")]
    assert [heard.version for heard in found.versions] == [1]
    assert found.champion == 1
    assert [served.place for served in found.deployments] == ["host:7"]
    assert found.bentos == ["moss:one"]
    assert found.outputs == ["data/clean"]
    assert found.audio == ["data/corpus/audio/good.flac"]
    assert found.recordings == ["recordings/2026-05-01/a"]
    assert found.voices == ["voices/espeak:f1"]


def test_rejected_speaker_touches_no_model_but_their_audio(root: Path) -> None:
    found = affected_by(Whose(speaker="espeak:f2"), root)
    assert (found.datasets, found.versions) == ([], [])
    assert found.audio == ["data/corpus/audio/bad.flac"]


def test_command_lists_first_and_records_only_without_dry_run(root: Path) -> None:
    run = CliRunner()
    listed = run.invoke(app, ["forget", "--speaker", "espeak:f1", "--dry-run"])
    assert listed.exit_code == 0, listed.output
    assert not (root / FILE).exists()
    done = run.invoke(app, ["forget", "--speaker", "espeak:f1", "--by", "me"])
    assert re.search(r"versions +1: 1 \(refused by gates\)", done.output)
    again = run.invoke(app, ["consent", "list", "--speaker", "espeak:f1"])
    assert "withdrawn  speaker espeak:f1: asked to (by me)" in again.output
    assert run.invoke(app, ["forget"]).exit_code == 1
