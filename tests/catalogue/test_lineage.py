"""Consents, and from speakers to the versions that heard them, on both databases."""

from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import event, inspect
from sqlalchemy.exc import IntegrityError

from moss_speech.catalogue.consents import (
    Whose,
    consents,
    newest,
    record_consent,
    record_terms,
    withdrawn,
)
from moss_speech.catalogue.data import SourceFacts, VerdictFacts, find_dataset, record_dataset
from moss_speech.catalogue.database import catalogue, migration_config, open_catalogue
from moss_speech.catalogue.deployments import (
    LOST_S,
    close_deployment,
    deployments,
    open_deployment,
    see_deployment,
    served_since,
)
from moss_speech.catalogue.lineage import (
    RunFacts,
    ancestors,
    datasets_of,
    record_origin,
    runs_of,
    versions_that_heard,
    withdrawals_touching,
)
from moss_speech.catalogue.lineage_tables import Consent
from moss_speech.catalogue.models import record_version
from moss_speech.catalogue.tables import now

pytestmark = pytest.mark.usefixtures("catalogue_url")
ANNA, BERT = Whose(speaker="anna"), Whose(speaker="bert")


def dataset(name: str, *speakers: str, source: str = "team", rejected: str = "") -> str:
    digest = name * 64
    verdicts = [VerdictFacts(f"{name}-{who}", who, True) for who in speakers]
    if rejected:
        verdicts.append(VerdictFacts(f"{name}-x", rejected, False, "silence", "0", "> 0"))
    with catalogue() as session:
        facts = SourceFacts(source, "CC0-1.0", "signed", len(verdicts))
        record_dataset(session, digest, [facts], verdicts)
    return digest


def version(number: int, data: str | None, inputs: dict[str, str] | None = None) -> None:
    """A version whose whole is `{number}` and whose language model is `lm{number}`."""
    digest = f"{number:064d}"
    with catalogue() as session:
        found = find_dataset(session, data) if data else None
        row = record_version(session, number, digest, "run", found)
        parts = {".": digest, "lm": f"{number:063d}l"}
        record_origin(session, row, [], inputs or {}, parts)


def heard(speaker: str) -> dict[int, tuple[int, ...]]:
    with catalogue() as session:
        return {h.version: h.through for h in versions_that_heard(session, speaker)}


def test_migration_to_lineage_and_back_keeps_what_was_there(catalogue_url: str) -> None:
    engine, config = open_catalogue(catalogue_url).kw["bind"], migration_config()
    tables = {
        "consents",
        "dataset_speakers",
        "runs",
        "version_runs",
        "version_folders",
        "deployments",
    }
    version(1, dataset("a", "anna", rejected="zoe"))
    with catalogue() as session:
        record_consent(session, "given", ANNA, "signed", "me")
        open_deployment(session, "1", "b" * 64, "host", now())
    for step, to, there in (
        (command.downgrade, "0003", False),
        (command.upgrade, "0004", True),
    ):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            step(config, to)
        assert (set(inspect(engine).get_table_names()) >= tables) is there
        with catalogue() as session:
            assert find_dataset(session, "a" * 64) is not None
    with catalogue() as session:
        assert consents(session) == []
        assert [d.digest for d in datasets_of(session, 1)] == ["a" * 64]
    assert heard("anna") == {1: ()}, "the sums of older verdicts are made by the migration"
    assert heard("zoe") == {}


def test_newest_row_on_the_same_names_counts() -> None:
    with catalogue() as session:
        record_consent(session, "given", ANNA, "signed", "me")
        record_consent(session, "given", Whose("team"), "contract", "me")
        record_consent(session, "withdrawn", ANNA, "asked by letter", "me")
        record_consent(session, "withdrawn", BERT, "asked by letter", "me")
        record_consent(session, "given", BERT, "signed again", "me")
    with catalogue() as session:
        assert [(w.source, w.speaker) for w in withdrawn(session)] == [(None, "anna")]
        assert [row.state for row in consents(session, "bert")] == ["withdrawn", "given"]


def test_declared_terms_are_written_once_and_never_over_a_withdrawal() -> None:
    with catalogue() as session:
        for terms in ("v1", "v1", "v2", ""):
            record_terms(session, "team", terms, "declaration")
        assert [row.terms for row in consents(session)] == ["v1", "v2"]
        record_consent(session, "withdrawn", Whose("team"), "contract ended", "me")
        record_terms(session, "team", "v3", "declaration")
        last = newest(session, Whose("team"))
    assert last is not None
    assert last.state == "withdrawn"


@pytest.mark.parametrize(
    ("source", "speaker", "words"),
    [
        (None, None, "name a speaker, a source or both"),
        (None, "", "must be 1 to 200 printable"),
        (None, "  ", "must be 1 to 200 printable"),
        (None, "a\nb", "must be 1 to 200 printable"),
        ("\x00", None, "must be 1 to 200 printable"),
        (None, "x" * 201, "xxxx…'"),
    ],
)
def test_unusable_name_is_refused(source: str | None, speaker: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Whose(source, speaker)


def test_consent_of_nobody_or_by_nobody_or_from_tomorrow_is_refused() -> None:
    with catalogue() as session:
        with pytest.raises(ValueError, match="name who records"):
            record_consent(session, "given", ANNA, "signed", " ")
        with pytest.raises(ValueError, match="must not be later than now"):
            record_consent(session, "given", ANNA, "x", "me", now() + timedelta(days=1))
    with pytest.raises(IntegrityError), catalogue() as session:
        session.add(Consent(state="given", terms="", recorded_by="me", since=now()))
    with pytest.raises(IntegrityError), catalogue() as session:
        session.add(Consent(state="maybe", speaker="anna", terms="", recorded_by="me", since=now()))


def test_version_that_started_from_one_that_heard_a_speaker_heard_them_too() -> None:
    """1 heard anna; 2 began with all of 1; 3 with 2's language model; 4 with neither."""
    other = dataset("b", "bert", rejected="anna")
    version(1, dataset("a", "anna", "carl"))
    version(2, other, {"start": f"{1:064d}"})
    version(3, other, {"lm-start": f"{2:063d}l"})
    version(4, other)
    assert heard("anna") == {1: (), 2: (1,), 3: (1,)}
    assert heard("bert") == {2: (), 3: (2,), 4: ()}
    assert heard("nobody") == {}
    with catalogue() as session:
        assert ancestors(session, 3) == [1, 2]


def test_question_asks_the_database_as_often_for_many_versions_as_for_few(
    catalogue_url: str,
) -> None:
    asked: list[str] = []
    engine = open_catalogue(catalogue_url).kw["bind"]
    version(1, dataset("a", "anna"))
    for first, last in ((2, 3), (4, 9)):
        for number in range(first, last + 1):
            version(number, None, {"start": f"{number - 1:064d}"})
        event.listen(engine, "before_cursor_execute", note := lambda *a: asked.append(a[2]))
        found = heard("anna")
        event.remove(engine, "before_cursor_execute", note)
        assert found == {1: ()} | dict.fromkeys(range(2, last + 1), (1,))
        asked.append("end")
    n_few, n_many = asked.index("end"), len(asked) - asked.index("end") - 2
    assert n_few == n_many > 0


def test_dataset_that_went_into_any_run_was_heard() -> None:
    """A codec may have been trained on other data than the language model."""
    old = dataset("a", "anna")
    version(1, dataset("b", "bert"), {"clean": old})
    assert heard("anna") == {1: ()}


def test_withdrawals_reach_every_version_that_heard_and_no_other() -> None:
    version(1, dataset("a", "anna", source="team"))
    version(2, dataset("b", "bert", source="shop"))
    with catalogue() as session:
        record_consent(session, "withdrawn", ANNA, "letter", "me")
        record_consent(session, "withdrawn", Whose("shop", "anna"), "letter", "me")
        record_consent(session, "withdrawn", Whose("shop"), "contract ended", "me")
    with catalogue() as session:
        touching = {n: withdrawals_touching(session, n) for n in (1, 2)}
    assert [(w.source, w.speaker) for w in touching[1]] == [(None, "anna")]
    assert [(w.source, w.speaker) for w in touching[2]] == [("shop", None)]


def test_origin_recorded_again_stays_as_it_is() -> None:
    digest = dataset("a", "anna")
    run = RunFacts("r1", "pack", "f", "c" * 40, False, {"clean": digest}, "o", {"seed": "1"})
    with catalogue() as session:
        row = record_version(session, 1, "b" * 64, "run", None)
        for _ in range(2):
            record_origin(session, row, [run, run], {}, {".": row.digest})
    with catalogue() as session:
        assert [(r.id, r.stage, r.params) for r in runs_of(session, 1)] == [
            ("r1", "pack", {"seed": "1"})
        ]
        assert [d.digest for d in datasets_of(session, 1)] == [digest]


def test_deployment_ends_when_it_is_closed_or_no_longer_seen() -> None:
    at = now()
    with catalogue() as session:
        closed, lost, runs = (
            open_deployment(session, str(n), f"{n}" * 64, "host", at - timedelta(hours=n))
            for n in (3, 2, 1)
        )
        close_deployment(session, closed, at - timedelta(minutes=30))
        see_deployment(session, lost, at - timedelta(seconds=LOST_S + 1))
        see_deployment(session, runs, at)
    with catalogue() as session:
        until = {d.version: d.until for d in deployments(session, at)}
        assert until["1"] is None
        assert until["2"] == at - timedelta(seconds=LOST_S + 1)
        assert until["3"] == at - timedelta(minutes=30)
        assert [d.version for d in deployments(session, at, ["3" * 64])] == ["3"]
        assert served_since(session, at - timedelta(minutes=10)) == {"1" * 64, "2" * 64}
