"""What differs between two versions: figures, sources, utterances, folders, code, params."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from moss_speech.catalogue.data import sources_of
from moss_speech.catalogue.lineage import datasets_of, runs_of
from moss_speech.catalogue.lineage_tables import VersionFolder
from moss_speech.catalogue.models import find_version, last_evaluation
from moss_speech.catalogue.tables import Verdict

_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Change:
    """One thing that differs; None where a version has no such thing."""

    area: str
    name: str
    old: str | None
    new: str | None


def changes(session: Session, old: int, new: int) -> list[Change]:
    """Everything that the catalogue knows to differ; `ValueError` for an unknown version."""
    find_version(session, old), find_version(session, new)
    found: list[Change] = []
    for area, facts in (
        ("figure", _figures),
        ("source", _sources),
        ("data", _folders),
        ("code", _code),
        ("param", _params),
    ):
        found += _different(area, facts(session, old), facts(session, new))
    return found + list(_utterances(session, old, new))


def _different(area: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Change(area, name, old.get(name), new.get(name))


def _figures(session: Session, version: int) -> dict[str, str]:
    reached = last_evaluation(session, find_version(session, version).digest)
    return {name: f"{row.value:.4g}" for name, row in reached.items()}


def _sources(session: Session, version: int) -> dict[str, str]:
    return {
        source.name: f"{source.n_utterances} utterances, {source.licence}, {source.consent}"
        for dataset in datasets_of(session, version)
        for source in sources_of(session, dataset)
    }


def _folders(session: Session, version: int) -> dict[str, str]:
    query = select(VersionFolder).where(VersionFolder.version == version)
    found: dict[str, str] = {}
    for row in session.scalars(query.order_by(VersionFolder.digest)):
        name = f"{row.role} {row.name}"
        known = [found[name]] if name in found else []
        found[name] = ", ".join([*known, row.digest[:_SHOWN_DIGITS]])
    return found


def _code(session: Session, version: int) -> dict[str, str]:
    edited = {True: " with edits", False: ""}
    return {
        run.stage: (run.commit[:_SHOWN_DIGITS] or "no commit") + edited[run.uncommitted]
        for run in runs_of(session, version)
    }


def _params(session: Session, version: int) -> dict[str, str]:
    return {
        f"{run.stage}.{name}": value
        for run in runs_of(session, version)
        for name, value in run.params.items()
    }


def _utterances(session: Session, old: int, new: int) -> Iterator[Change]:
    """How many kept utterances came and went, where each version has one dataset of its own."""
    before, after = (find_version(session, number).dataset_id for number in (old, new))
    if before is None or after is None or before == after:
        return
    went, came = _kept_only_in(session, before, after), _kept_only_in(session, after, before)
    yield Change("data", "kept utterances only here", str(went), str(came))


def _kept_only_in(session: Session, here: int, there: int) -> int:
    mine, other = aliased(Verdict), aliased(Verdict)
    same = and_(other.dataset_id == there, other.utterance == mine.utterance, other.kept)
    query = select(func.count()).select_from(mine).outerjoin(other, same)
    query = query.where(mine.dataset_id == here, mine.kept, other.utterance.is_(None))
    return session.scalar(query) or 0
