"""Which verdicts are left to tell: each once, whoever made it and whenever flows overlap."""

from datetime import timedelta

import pytest

from flows._notices import untold_verdicts
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.promotions import record_revert
from moss_speech.catalogue.tables import Revert, now
from tests.registry.candidates import promote, register

pytestmark = pytest.mark.usefixtures("store")


def test_each_verdict_is_told_once_though_flows_overlap_and_shells_promote() -> None:
    begin = now()
    first, second = register("first", "second")
    promote(first, "a flow")
    assert [(kind, version) for kind, version, _ in untold_verdicts(begin)] == [("promoted", first)]
    assert untold_verdicts(begin) == [], "a second flow that began before it too"
    promote(second, "a person in a shell")
    later = now() + timedelta(seconds=1)
    assert [version for _, version, _ in untold_verdicts(later)] == [second]


def test_first_look_tells_nothing_of_the_past() -> None:
    promote(*register("first"), "anna")
    later = now() + timedelta(seconds=1)
    assert untold_verdicts(later) == []
    assert untold_verdicts(later - timedelta(hours=1)) == []


def test_undone_edits_of_one_moment_with_and_without_a_version_are_told() -> None:
    moment = now()
    with catalogue() as session:
        for version in (None, 2):
            record_revert(session, version, 1, "moved")
        session.flush()
        for row in session.query(Revert):
            row.recorded_at = moment
    assert [version for _, version, _ in untold_verdicts(moment)] == [None, 2]
