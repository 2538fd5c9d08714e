"""What is written to the catalogue and how it is asked."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from moss_speech.catalogue.data import (
    SourceFacts,
    VerdictFacts,
    find_dataset,
    record_dataset,
    sources_of,
    verdict_on,
)
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.lineage import versions_that_heard
from moss_speech.catalogue.models import (
    find_version,
    last_evaluation,
    record_evaluation,
    record_version,
)
from moss_speech.catalogue.promotions import (
    Wanted,
    current,
    earlier_champions,
    history,
    record_intent,
    record_outcome,
    unfinished,
)
from moss_speech.catalogue.verdict_items import ItemFacts, last_items, record_items

pytestmark = pytest.mark.usefixtures("catalogue_url")
DATA, BUNDLE = "d" * 64, "b" * 64


def promote(old: int | None, new: int, result: str | None, kind: str = "promote") -> None:
    with catalogue() as session:
        version = record_version(session, new, f"{new:064d}", "run", None)
        promotion = record_intent(session, kind, old, version, Wanted("anna", "", {}))
        if result is not None:
            record_outcome(session, promotion, result, "because")


def test_verdicts_and_sources_come_back_as_written() -> None:
    with catalogue() as session:
        record_dataset(
            session,
            DATA,
            [SourceFacts("voices", "Apache-2.0", "synthetic", 1)],
            [VerdictFacts("broken", "f2", False, "duration", "0.1 s", "0.3..20 s")],
        )
    with catalogue() as session:
        dataset = find_dataset(session, DATA)
        verdict = verdict_on(session, dataset, "broken")
        source = sources_of(session, dataset)[0]
    assert (verdict.kept, verdict.reason, verdict.value) == (False, "duration", "0.1 s")
    assert (source.name, source.licence, source.consent) == ("voices", "Apache-2.0", "synthetic")


def test_reject_without_a_reason_is_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError), catalogue() as session:
        record_dataset(session, DATA, [], [VerdictFacts("a", "f1", False)])


def test_only_versions_whose_data_kept_a_speaker_heard_them() -> None:
    with catalogue() as session:
        kept = VerdictFacts("a", "anna", True)
        rejected = VerdictFacts("b", "bert", False, "silence", "0", "> 0")
        dataset = record_dataset(session, DATA, [], [kept, rejected])
        record_version(session, 1, BUNDLE, "run", dataset)
    with catalogue() as session:
        assert [v.version for v in versions_that_heard(session, "anna")] == [1]
        assert versions_that_heard(session, "bert") == []


def test_version_number_that_stands_for_another_bundle_is_refused() -> None:
    with catalogue() as session:
        record_version(session, 1, BUNDLE, "run", None)
    with pytest.raises(ValueError, match="must belong together"), catalogue() as session:
        record_version(session, 1, "c" * 64, "run", None)


def test_unknown_version_is_refused_with_those_there_are() -> None:
    with catalogue() as session:
        record_version(session, 3, BUNDLE, "run", None)
    refused = pytest.raises(ValueError, match=r"no model version 7; registered are \[3\]")
    with refused, catalogue() as session:
        find_version(session, 7)


def test_last_evaluation_lends_no_figure_of_an_older_one() -> None:
    """Missing, null and not a number: none of them is what an older evaluation reached."""
    lost = {"s2s": {"value": 0.7}, "t2t": {"value": None}, "s2t": {"value": float("nan")}}
    with catalogue() as session:
        old = {name: {"value": 1.0} for name in ("s2s", "t2t", "s2t", "t2s")}
        record_evaluation(session, BUNDLE, {"accuracy": old})
        record_evaluation(session, BUNDLE, {"accuracy": lost})
        record_evaluation(session, DATA, {"accuracy": {"s2s": {"value": 0.1}}})
    with catalogue() as session:
        reached = {name: row.value for name, row in last_evaluation(session, BUNDLE).items()}
        assert reached == {"s2s": 0.7}
        record_evaluation(session, BUNDLE, {})
    with catalogue() as session:
        assert last_evaluation(session, BUNDLE) == {}


def test_last_items_are_those_of_the_newest_evaluation_even_if_it_has_none() -> None:
    item = ItemFacts("s2s", "a", "fact", "voice", "q", 1.0)
    with catalogue() as session:
        record_items(session, BUNDLE, [item])
        record_items(session, DATA, [item])
    with catalogue() as session:
        assert last_items(session, BUNDLE, "s2s") == {"a": item}
        record_items(session, BUNDLE, [replace(item, metric="t2t")])
    with catalogue() as session:
        assert last_items(session, BUNDLE, "s2s") == {}
        record_items(session, BUNDLE, [])
    with catalogue() as session:
        assert last_items(session, BUNDLE, "t2t") == {}


def test_champion_is_the_last_committed_promotion() -> None:
    promote(None, 1, "committed")
    promote(1, 2, "committed")
    promote(2, 3, "refused")
    promote(2, 4, "reverted")
    promote(2, 5, None)
    with catalogue() as session:
        assert current(session).new_version == 2
        assert [p.new_version for p in unfinished(session)] == [5]
        assert [p.new_version for p, _ in history(session)] == [5, 4, 3, 2, 1]


def test_rolling_back_twice_walks_to_the_first_champion() -> None:
    promote(None, 1, "committed")
    promote(1, 2, "committed")
    promote(2, 3, "committed")
    promote(3, 2, "committed", kind="rollback")
    with catalogue() as session:
        assert earlier_champions(session) == [1]


def test_promotion_has_at_most_one_outcome() -> None:
    promote(None, 1, "committed")
    with pytest.raises(IntegrityError), catalogue() as session:
        record_outcome(session, current(session), "reverted", "again")
