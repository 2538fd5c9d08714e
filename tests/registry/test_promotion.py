"""Who is champion, whatever happens: gates, edits, rollbacks, kills, two at once."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from moss_speech.catalogue import database, promotions, verdict_items
from moss_speech.catalogue.database import catalogue, promotion_lock
from moss_speech.catalogue.models import find_version
from moss_speech.catalogue.promotions import (
    Wanted,
    gates_of,
    history,
    motive_of,
    record_intent,
    reverts,
    unfinished,
)
from moss_speech.registry import judging, promotion
from moss_speech.registry.promotion import (
    champion,
    offer,
    rollback,
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
    N_ITEMS,
    count_lines,
    in_process,
    kill_at_line,
    make_candidate,
    process_of,
    promote,
    register,
)
from tests.tiny_bundle import tiny_bundle

pytestmark = pytest.mark.usefixtures("store")
STEPS = (Path(promotion.__file__),)
EVERYTHING = (*STEPS, *(Path(m.__file__) for m in (judging, promotions, verdict_items, database)))


def served() -> int | None:
    now = verified_champion()
    return now.version if now else None


def test_first_good_candidate_becomes_champion_with_its_figures_kept() -> None:
    (version,) = register("first")
    assert verified_champion() is None
    decision = promote(version, "anna")
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
    promote(first, "anna")
    weak = register_candidate(make_candidate("weak", BAD))
    decision = promote(weak, "anna")
    assert str(decision) == (f"version {weak} not promoted: s2s is 0.500, must be at least 0.800")
    assert (version_with(CHAMPION), served()) == (first, first)
    shown = tracking_client().get_model_version(MODEL, str(weak)).tags["moss.decision"]
    assert shown == str(decision), "who looks at the registry's page sees why"


def test_candidate_without_a_figure_is_refused() -> None:
    version = register_candidate(make_candidate("first", {"accuracy": {"s2s": {"value": 1.0}}}))
    decision = promote(version, "anna")
    assert (decision.result, decision.reason) == (
        "refused",
        "t2t is missing, must be at least 0.900",
    )


def test_candidate_whose_bundle_was_damaged_is_refused() -> None:
    version = register_candidate(make_candidate("first"))
    (weights,) = (settings().state / "artifacts").rglob("bundle/*/lm/model.safetensors")
    weights.write_bytes(b"fir")
    decision = promote(version, "anna")
    assert decision.result == "refused"
    assert "is damaged" in decision.reason


def test_candidate_that_needs_a_person_waits_for_the_alias(tmp_path: Path) -> None:
    made = make_candidate("first")
    version = register_candidate(replace(made, bundle=tiny_bundle(tmp_path / "tiny")))
    gates = GATES.model_copy(update={"approval": "person"})
    decision = offer(version, gates)
    assert (decision.result, served()) == ("waiting", None)
    assert "set the alias approved on version 1" in decision.reason
    approve(version)
    assert offer(version, gates).result == "committed"
    assert served() == version
    with catalogue() as session:
        ((made, _),) = history(session)
        tried = {result.gate: result for result in gates_of(session, made)}["bundle"]
    assert tried.figures["latency.first_audio_s"] > 0, "the real bundle was opened and asked"


def test_every_gate_is_on_record_with_who_and_why() -> None:
    first, second = register("first", "second")
    promote(first, "anna", why="the first one")
    promote(second, "bert")
    rollback("carl", why="it stutters")
    with catalogue() as session:
        told = [(p, o, gates_of(session, p), motive_of(session, p)) for p, o in history(session)]
    back, then, begin = told
    assert [(p.approved_by, why) for p, _, _, why in told] == [
        ("carl", "it stutters"),
        ("bert", ""),
        ("anna", "the first one"),
    ]
    assert back[1].reason == f"rolled back from version {second}: it stutters"
    assert [g.gate for g in then[2]] == [
        "s2s at least",
        "t2t at least",
        "s2s no worse",
        "sources",
        "weights",
        "consent",
        "bundle",
    ]
    assert then[2][0].figures == {"value": 0.9, "limit": 0.8}
    assert then[2][2].figures["n"] == N_ITEMS
    assert begin[2][2].said == "s2s: no champion yet, nothing to compare"
    assert all(gate.met for _, _, gates, _ in told for gate in gates)


def test_interrupted_promotion_that_was_never_judged_does_not_count() -> None:
    """Of an older version of this code, say, whose limits nobody can read any more."""
    first, second = register("first", "second")
    promote(first, "anna")
    with catalogue() as session:
        new = find_version(session, second)
        record_intent(session, "promote", first, new, Wanted("anna", "", {"at_least": {}}))
    tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(second))
    assert served() == first
    assert version_with(CHAMPION) == first


def test_promotion_marks_the_version_as_approved() -> None:
    (version,) = register("first")
    promote(version, "anna")
    assert version_with(APPROVED) == version


def test_direct_edit_is_undone_with_its_reason_and_never_served() -> None:
    first, second = register("first", "second")
    promote(first, "anna")
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
    promote(first, "anna")
    tracking_client().delete_registered_model_alias(MODEL, CHAMPION)
    assert served() == first
    assert version_with(CHAMPION) == first


def test_champion_set_by_hand_before_any_promotion_is_taken_away() -> None:
    (first,) = register("first")
    tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(first))
    assert served() is None
    assert version_with(CHAMPION) is None


def test_rollback_returns_to_each_earlier_champion_in_turn() -> None:
    first, second, third = register("first", "second", "third")
    for version in (first, second, third):
        promote(version, "anna")
    assert rollback("anna").version == second
    assert (version_with(CHAMPION), served()) == (second, second)
    assert rollback("anna").version == first
    with pytest.raises(ValueError, match="no earlier champion"):
        rollback("anna")
    assert (version_with(CHAMPION), served()) == (first, first)


def test_promoting_the_champion_again_changes_nothing() -> None:
    first, second = register("first", "second")
    promote(first, "anna")
    promote(second, "anna")
    assert promote(second, "anna").reason == "it is the champion already"
    assert rollback("anna").version == first


def test_unregistered_version_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ValueError, match="no model version 9; registered are none"):
        promote(9, "anna")
    with catalogue() as session:
        assert history(session) == []


def test_service_that_starts_during_a_promotion_serves_the_committed_champion() -> None:
    first, second = register("first", "second")
    promote(first, "anna")
    with promotion_lock():
        tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(second))
        assert served() == first
        assert version_with(CHAMPION) == second, "the alias belongs to the one with the lock"


def test_promotion_first_closes_what_a_dead_one_left() -> None:
    first, second = register("first", "second")
    with catalogue() as session:
        dead = find_version(session, first)
        record_intent(session, "promote", None, dead, Wanted("anna", "", GATES.model_dump()))
    promote(second, "anna")
    with catalogue() as session:
        results = [outcome.result for _, outcome in history(session)]
    assert results == ["committed", "reverted"]


def _two_champions_in_turn() -> tuple[int, int]:
    first, second = register("first", "second")
    promote(first, "anna")
    return first, second


def _state() -> tuple[int | None, int | None, list[str | None], int]:
    now = served()
    with catalogue() as session:
        results = [outcome.result if outcome else None for _, outcome in history(session)]
        return now, version_with(CHAMPION), results, len(reverts(session))


def _check_kills(files: tuple[Path, ...], every: int = 1) -> None:
    """Kill promotions of the other version line by line; each time exactly one champion stays."""
    now, other = in_process(_two_champions_in_turn)
    n_lines = in_process(count_lines, files, promote, other, "anna")
    now, other = other, now
    moved, kept = 0, 0
    for number in range(1, n_lines + 1, every):
        exit_code = kill_at_line(number, files, promote, other, "anna")
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
    _check_kills(STEPS, every=3)


@pytest.mark.slow
def test_killed_at_any_line_leaves_one_approved_champion(catalogue_url: str) -> None:
    _check_kills(EVERYTHING)


def test_two_promotions_at_once_leave_one_champion(catalogue_url: str) -> None:
    first, second, third = in_process(register, "first", "second", "third")
    in_process(promote, first, "anna")
    rivals = [process_of(promote, v, "anna") for v in (second, third)]
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
