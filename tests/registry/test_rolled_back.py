"""What was rolled back from: no pipeline brings it back, a person does."""

from dataclasses import replace
from pathlib import Path

import pytest

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.promotions import Wanted, history, rolled_back_from
from moss_speech.registry.promotion import Decision, champion, decide, offer, rollback
from moss_speech.registry.versions import APPROVED, approve, register_candidate, version_with
from tests.registry.candidates import GATES, TRIED, make_candidate, promote, register
from tests.tiny_bundle import tiny_bundle

pytestmark = pytest.mark.usefixtures("store")


def offered(version: int) -> Decision:
    """As `offer` with automatic gates, of a bundle that was tried."""
    wanted = Wanted("automatic gates", "", GATES.model_dump(), offered=True)
    return decide(version, wanted, TRIED)


def test_pipeline_that_makes_the_same_bundle_again_is_refused_by_name(tmp_path: Path) -> None:
    (first,) = register("first")
    promote(first, "anna")
    made = replace(make_candidate("second"), bundle=tiny_bundle(tmp_path / "tiny"))
    second = register_candidate(made)
    assert offer(second, GATES).result == "committed"
    rollback("anna", "it stutters")
    assert register_candidate(made) == second
    for approval in ("automatic", "person"):
        approve(second)
        decision = offer(second, GATES.model_copy(update={"approval": approval}))
        assert (decision.result, champion().version) == ("refused", first)
        assert decision.reason.startswith("anna rolled back from it on 20")
        assert ": it stutters; `moss-speech promote 2` promotes it" in decision.reason
    with catalogue() as session:
        assert len(history(session)) == 3, "a refused offer leaves no row"


def test_person_brings_back_what_was_rolled_back_from() -> None:
    first, second = register("first", "second")
    promote(first, "anna")
    promote(second, "anna")
    rollback("anna")
    assert promote(second, "bert").result == "committed"
    with catalogue() as session:
        assert rolled_back_from(session, second) is None
    promote(first, "bert")
    assert offered(second).result == "committed", "it was promoted over, not rolled back from"


def test_version_that_was_rolled_back_to_may_be_offered_again() -> None:
    first, second, third = register("first", "second", "third")
    for version in (first, second, third):
        promote(version, "anna")
    rollback("anna")
    assert offered(third).result == "refused"
    assert offered(first).result == "committed"
    assert offered(second).result == "committed"


def test_approval_moves_along_with_a_rollback_unless_another_version_has_it() -> None:
    first, second, third = register("first", "second", "third")
    promote(first, "anna")
    promote(second, "anna")
    rollback("anna")
    assert version_with(APPROVED) == first
    promote(second, "anna")
    approve(third)
    rollback("anna")
    assert version_with(APPROVED) == third, "a person's approval stays"
