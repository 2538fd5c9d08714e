"""Versions whose entry somebody deleted in MLflow: they stop no promotion of another version."""

import dataclasses
from pathlib import Path

import pytest

from moss_speech.catalogue.consents import Whose
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.promotions import earlier_champions, history, reverts
from moss_speech.corpus.clean.withdrawn import FILE
from moss_speech.registry.addresses import find_registered
from moss_speech.registry.lineage import record_data
from moss_speech.registry.promotion import champion, rollback, verified_champion
from moss_speech.registry.store import MODEL, StoreError, tracking_client
from moss_speech.registry.versions import CHAMPION, register_candidate, version_with
from moss_speech.registry.withdrawing import forget
from moss_speech.settings import settings
from tests.registry.candidates import make_candidate, promote, register

pytestmark = pytest.mark.usefixtures("store")


def delete(version: int) -> None:
    """As the button of the version's page does."""
    tracking_client().delete_model_version(MODEL, str(version))


def n_reverts() -> int:
    with catalogue() as session:
        return len(reverts(session))


def promoted(*names: str) -> list[int]:
    versions = register(*names)
    for version in versions:
        assert promote(version, "anna").result == "committed"
    return versions


def test_champion_without_an_entry_is_served_and_adds_no_rows() -> None:
    _, second = promoted("first", "second")
    delete(second)
    for _ in range(3):
        assert verified_champion().version == second
    assert find_registered(f"models:/{MODEL}@champion").version == second
    assert (version_with(CHAMPION), n_reverts()) == (None, 0)


def test_rollback_leaves_a_champion_without_an_entry() -> None:
    first, second = promoted("first", "second")
    delete(second)
    assert rollback("anna", "it is gone").result == "committed"
    assert (version_with(CHAMPION), champion().version, n_reverts()) == (first, first, 0)


def test_another_version_replaces_a_champion_without_an_entry() -> None:
    _, second = promoted("first", "second")
    (third,) = register("third")
    delete(second)
    assert promote(third, "anna").result == "committed"
    assert (version_with(CHAMPION), champion().version) == (third, third)


def test_version_without_an_entry_is_refused_by_name() -> None:
    first, second = register("first", "second")
    promote(first, "anna")
    delete(second)
    decision = promote(second, "anna")
    assert (decision.result, decision.reason) == (
        "refused",
        "version 2 is gone from the registry: its entry was deleted in MLflow",
    )
    assert (version_with(CHAMPION), champion().version) == (first, first)


def test_edit_beside_a_deleted_champion_is_undone_once() -> None:
    first, second = promoted("first", "second")
    delete(second)
    tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(first))
    for _ in range(2):
        assert verified_champion().version == second
    with catalogue() as session:
        (revert,) = reverts(session)
    assert (revert.found_version, revert.restored_version) == (first, None)
    assert version_with(CHAMPION) is None


def test_start_of_the_service_says_that_the_tracking_server_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    promoted("first")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MOSS_DATABASE_URL", settings().catalogue_url)
    monkeypatch.setenv("MOSS_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    settings.cache_clear()
    with pytest.raises(StoreError, match="the tracking server fails"):
        verified_champion()


def test_speaker_is_forgotten_though_a_version_that_heard_them_was_deleted(
    corpus: Path, clean: Path, store: Path
) -> None:
    made = dataclasses.replace(make_candidate("first"), dataset=record_data(corpus, clean))
    delete(register_candidate(made))
    forget(Whose(speaker="espeak:f1"), "letter 17", "me", store)
    assert "espeak:f1" in (store / FILE).read_text()


def test_rollback_passes_over_champions_that_may_not_be_served() -> None:
    first, second, third, _ = promoted("first", "second", "third", "fourth")
    delete(third)
    (weights,) = [
        path
        for path in (settings().state / "artifacts").rglob("bundle/*/lm/model.safetensors")
        if path.read_bytes() == b"second"
    ]
    weights.write_bytes(b"damaged")
    assert rollback("anna").result == "committed"
    assert (version_with(CHAMPION), champion().version) == (first, first)
    with catalogue() as session:
        tried = [(p.new_version, o.result) for p, o in history(session)][:3]
    assert tried == [(first, "committed"), (second, "refused"), (third, "refused")]
    with pytest.raises(ValueError, match="no earlier champion"):
        rollback("anna")


def test_rollback_names_every_champion_that_it_may_not_go_back_to() -> None:
    first, second, third = promoted("first", "second", "third")
    delete(first)
    delete(second)
    decision = rollback("anna")
    assert (decision.version, decision.result, champion().version) == (first, "refused", third)
    assert "version 2 is gone from the registry" in decision.reason
    assert "version 1 is gone from the registry" in decision.reason


def test_champion_of_two_terms_is_gone_back_to_in_order() -> None:
    first, second = promoted("first", "second")
    (third,) = register("third")
    for version in (first, third):
        promote(version, "anna")
    with catalogue() as session:
        assert earlier_champions(session) == [first, second]
