"""What is said of a figure, from its values alone."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.monitor_tables import MonitorFigure
from moss_speech.catalogue.monitoring import (
    drifting,
    record_figures,
    reference_values,
    watched_until,
)
from moss_speech.monitoring.canary import Asked
from moss_speech.monitoring.findings import FIRST_S, RIGHT, find, find_canaries
from moss_speech.monitoring.page import Look, write_page
from tests.monitoring.test_drift import P

LOUD: list[float | str] = [-20.0 + 0.01 * i for i in range(P.reference_turns)]
KEY = ("heard_lufs", "")
MONDAY, TUESDAY = datetime(2026, 5, 4, tzinfo=UTC), datetime(2026, 5, 5, tzinfo=UTC)


def test_first_values_are_the_reference_in_no_order_of_time() -> None:
    found = find(KEY, [3.0, 1.0, 2.0], [], P, anew=False)
    assert (found.role, found.values, found.value) == ("reference", [1.0, 2.0, 3.0], 2.0)
    assert find(KEY, [1.0], LOUD[:-1], P, anew=False).role == "reference"


def test_later_values_are_compared_and_not_kept() -> None:
    quiet: list[float | str] = [-40.0] * P.min_turns
    found = find(KEY, quiet, LOUD, P, anew=False)
    assert (found.role, found.values, found.drifted) == ("compared", (), True)
    assert str(found).startswith("heard_lufs went from -19.005 to -40.000 (n 50, distance 1.00")
    assert not find(KEY, LOUD, LOUD, P, anew=False).drifted
    assert find(KEY, quiet[1:], LOUD, P, anew=False).role == "few"


def test_share_of_the_usual_language_is_followed() -> None:
    english: list[float | str] = ["en"] * 190 + ["de"] * 10
    german: list[float | str] = ["de"] * 40 + ["en"] * 10
    found = find(("heard_language", ""), german, english, P, anew=False)
    assert (found.value, found.reference, found.drifted) == (0.2, 0.95, True)


def asked(*right: bool) -> list[Asked]:
    return [Asked(f"q{i}", r, "green", 0.5 if r else None, "3") for i, r in enumerate(right)]


@pytest.mark.parametrize(
    ("right", "drifted"), [((True,) * 7 + (False,) * 3, False), ((True,) * 6 + (False,) * 4, True)]
)
def test_canaries_must_reach_their_floor(right: tuple[bool, ...], drifted: bool) -> None:
    share, wait = find_canaries(asked(*right), P)
    assert (share.figure, share.drifted, share.version) == (RIGHT, drifted, "3")
    assert (wait.figure, wait.value, wait.drifted) == (FIRST_S, 0.5, False)


def test_service_that_answers_nothing_has_no_wait() -> None:
    share, wait = find_canaries(asked(False, False), P)
    assert share.drifted
    assert (wait.n, wait.value) == (0, None)


def test_page_cannot_be_written_into_by_what_it_shows() -> None:
    aside = Counter({"a | b <script>": 2})
    page = write_page(Look(MONDAY, TUESDAY, [], asked(True), aside, []))
    assert "<script>" not in page
    assert "| a / b (script) | 2 |" in page


def row(figure: str, role: str, values: list[float], **more: object) -> dict[str, object]:
    row = {"figure": figure, "version": "", "role": role, "n": len(values), "value": 1.0}
    rest = {"reference": None, "distance": None, "p": None, "drifted": False}
    return {**row, **rest, "begins_reference": False, "values": values, **more}


def test_catalogue_gives_reference_window_and_what_drifts(catalogue_url: str) -> None:
    with catalogue() as session:
        assert watched_until(session) is None
        rows = [row("s", "reference", [1.0]), row("t", "reference", [9.0])]
        record_figures(session, "w1", (MONDAY, TUESDAY), rows)
        record_figures(session, "w2", (MONDAY, TUESDAY), [row("s", "reference", [2.0, 3.0])])
        rows = [row("s", "compared", [], drifted=True), row("t", "few", [])]
        record_figures(session, "w3", (MONDAY, TUESDAY), rows)
    with catalogue() as session:
        assert reference_values(session, "s", "") == [1.0, 2.0, 3.0]
        assert reference_values(session, "s", "3") == []
        assert drifting(session) == {("s", "")}
        assert watched_until(session) == TUESDAY
        watched = select(MonitorFigure.figure).where(MonitorFigure.watch == "w3")
        assert sorted(session.scalars(watched)) == ["s", "t"]
        anew = [row("s", "reference", [7.0], begins_reference=True), row("s", "compared", [])]
        record_figures(session, "w4", (TUESDAY, TUESDAY), anew)
    with catalogue() as session:
        assert reference_values(session, "s", "") == [7.0]
        assert reference_values(session, "t", "") == [9.0]
        assert drifting(session) == frozenset()


def test_catalogue_refuses_a_role_that_it_does_not_know(project_root: Path) -> None:
    with pytest.raises(IntegrityError), catalogue() as session:
        record_figures(session, "w1", (MONDAY, TUESDAY), [row("s", "guess", [])])
