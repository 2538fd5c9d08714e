"""Who is champion, whatever happens: gates, edits, rollbacks, kills, two at once."""

import signal
from pathlib import Path

import pytest

from moss_speech.catalogue import database, promotions
from moss_speech.catalogue.database import catalogue, promotion_lock
from moss_speech.catalogue.models import find_version
from moss_speech.catalogue.promotions import history, record_intent, reverts, unfinished
from moss_speech.registry import promotion
from moss_speech.registry.promotion import (
    champion,
    offer,
    promote,
    rollback,
    settle,
    verified_champion,
)
from moss_speech.registry.store import MODEL, tracking_client
from moss_speech.registry.versions import (
    APPROVED,
    CHAMPION,
    approve,
    register_candidate,
    version_with,
)
from moss_speech.settings import settings
from tests.registry.candidates import (
    BAD,
    GATES,
    count_lines,
    in_process,
    kill_at_line,
    make_candidate,
    process_of,
    register,
)

pytestmark = pytest.mark.usefixtures("store")
STEPS = (Path(promotion.__file__),)
EVERYTHING = (*STEPS, Path(promotions.__file__), Path(database.__file__))


def served() -> int | None:
    now = verified_champion()
    return now.version if now else None


def test_first_good_candidate_becomes_champion_with_its_figures_kept() -> None:
    (version,) = register("first")
    assert verified_champion() is None
    decision = promote(version, "anna", GATES)
    assert str(decision).startswith(f"version {version} promoted: s2s is 0.900")
    assert (version_with(CHAMPION), served()) == (version, version)
    with catalogue() as session:
        ((made, outcome),) = history(session)
    assert (made.approved_by, made.gates, outcome.result) == (
        "anna",
        GATES.model_dump(),
        "committed",
    )


def test_candidate_below_a_gate_leaves_the_champion_and_is_told_why() -> None:
    (first,) = register("first")
    promote(first, "anna", GATES)
    weak = register_candidate(make_candidate("weak", BAD))
    decision = promote(weak, "anna", GATES)
    assert str(decision) == (f"version {weak} not promoted: s2s is 0.500, must be at least 0.800")
    assert (version_with(CHAMPION), served()) == (first, first)
    shown = tracking_client().get_model_version(MODEL, str(weak)).tags["moss.decision"]
    assert shown == str(decision), "who looks at the registry's page sees why"


def test_candidate_without_a_figure_is_refused() -> None:
    version = register_candidate(make_candidate("first", {"accuracy": {"s2s": {"value": 1.0}}}))
    decision = promote(version, "anna", GATES)
    assert (decision.result, decision.reason) == (
        "refused",
        "t2t is missing, must be at least 0.900",
    )


def test_candidate_whose_bundle_was_damaged_is_refused() -> None:
    version = register_candidate(make_candidate("first"))
    (weights,) = (settings().state / "artifacts").rglob("bundle/*/lm/model.safetensors")
    weights.write_bytes(b"fir")
    decision = promote(version, "anna", GATES)
    assert decision.result == "refused"
    assert "is damaged" in decision.reason


def test_candidate_that_needs_a_person_waits_for_the_alias() -> None:
    (version,) = register("first")
    gates = GATES.model_copy(update={"approval": "person"})
    decision = offer(version, gates)
    assert (decision.result, served()) == ("waiting", None)
    assert "set the alias approved on version 1" in decision.reason
    approve(version)
    assert offer(version, gates).result == "committed"
    assert served() == version


def test_promotion_marks_the_version_as_approved() -> None:
    (version,) = register("first")
    promote(version, "anna", GATES)
    assert version_with(APPROVED) == version


def test_direct_edit_is_undone_with_its_reason_and_never_served() -> None:
    first, second = register("first", "second")
    promote(first, "anna", GATES)
    tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(second))
    assert served() == first
    assert version_with(CHAMPION) == first
    reason = tracking_client().get_model_version(MODEL, str(second)).tags["moss.reverted"]
    assert reason == f"alias champion was moved to {second} without a committed promotion"
    with catalogue() as session:
        (revert,) = reverts(session)
    assert (revert.found_version, revert.restored_version) == (second, first)


def test_deleted_alias_comes_back() -> None:
    (first,) = register("first")
    promote(first, "anna", GATES)
    tracking_client().delete_registered_model_alias(MODEL, CHAMPION)
    settle()
    assert version_with(CHAMPION) == first


def test_champion_set_by_hand_before_any_promotion_is_taken_away() -> None:
    (first,) = register("first")
    tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(first))
    assert served() is None
    assert version_with(CHAMPION) is None


def test_rollback_returns_to_each_earlier_champion_in_turn() -> None:
    first, second, third = register("first", "second", "third")
    for version in (first, second, third):
        promote(version, "anna", GATES)
    assert rollback("anna").version == second
    assert (version_with(CHAMPION), served()) == (second, second)
    assert rollback("anna").version == first
    with pytest.raises(ValueError, match="no earlier champion"):
        rollback("anna")
    assert (version_with(CHAMPION), served()) == (first, first)


def test_promoting_the_champion_again_changes_nothing() -> None:
    first, second = register("first", "second")
    promote(first, "anna", GATES)
    promote(second, "anna", GATES)
    assert promote(second, "anna", GATES).reason == "it is the champion already"
    assert rollback("anna").version == first


def test_unregistered_version_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ValueError, match="no model version 9; registered are none"):
        promote(9, "anna", GATES)
    with catalogue() as session:
        assert history(session) == []


def test_service_that_starts_during_a_promotion_serves_the_committed_champion() -> None:
    first, second = register("first", "second")
    promote(first, "anna", GATES)
    with promotion_lock():
        tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(second))
        assert served() == first
        assert version_with(CHAMPION) == second, "the alias belongs to the one with the lock"


def test_promotion_first_closes_what_a_dead_one_left() -> None:
    first, second = register("first", "second")
    with catalogue() as session:
        dead = find_version(session, first)
        record_intent(session, "promote", None, dead, "anna", GATES.model_dump())
    promote(second, "anna", GATES)
    with catalogue() as session:
        results = [outcome.result for _, outcome in history(session)]
    assert results == ["committed", "reverted"]


def _two_champions_in_turn() -> tuple[int, int]:
    first, second = register("first", "second")
    promote(first, "anna", GATES)
    return first, second


def _state() -> tuple[int | None, int | None, list[str | None], int]:
    now = served()
    with catalogue() as session:
        results = [outcome.result if outcome else None for _, outcome in history(session)]
        return now, version_with(CHAMPION), results, len(reverts(session))


def _check_kills(files: tuple[Path, ...], every: int = 1) -> None:
    """Kill promotions of the other version line by line; each time exactly one champion stays."""
    now, other = in_process(_two_champions_in_turn)
    n_lines = in_process(count_lines, files, promote, other, "anna", GATES)
    now, other = other, now
    moved, kept = 0, 0
    for number in range(1, n_lines + 1, every):
        exit_code = kill_at_line(number, files, promote, other, "anna", GATES)
        assert exit_code == -signal.SIGKILL, f"line {number} of {n_lines} was not reached"
        found, alias, results, n_reverts = in_process(_state)
        assert found == alias, f"killed at line {number}"
        assert found in (now, other)
        assert None not in results
        assert results.count("reverted") + results.count("committed") == len(results)
        assert n_reverts == 0, "what a promotion moved is no direct edit"
        moved, kept = moved + (found == other), kept + (found == now)
        now, other = (found, now) if found == other else (now, other)
    assert moved > 1, "killed after the alias moved, it is settled as promoted"
    assert kept > 10, "killed before, it is not"


def test_killed_before_any_step_of_a_promotion_leaves_one_approved_champion() -> None:
    _check_kills(STEPS, every=2)


@pytest.mark.slow
def test_killed_at_any_line_leaves_one_approved_champion(catalogue_url: str) -> None:
    _check_kills(EVERYTHING)


def test_two_promotions_at_once_leave_one_champion(catalogue_url: str) -> None:
    first, second, third = in_process(register, "first", "second", "third")
    in_process(promote, first, "anna", GATES)
    rivals = [process_of(promote, v, "anna", GATES) for v in (second, third)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert [rival.exitcode for rival in rivals] == [0, 0]
    with catalogue() as session:
        (last, _), (middle, _), _ = history(session)
        assert unfinished(session) == []
    assert {last.new_version, middle.new_version} == {second, third}
    assert last.old_version == middle.new_version, "each saw what the other had done"
    assert version_with(CHAMPION) == champion().version == last.new_version
