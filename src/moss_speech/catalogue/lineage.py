"""From versions to what they were made of, and back from a speaker to every version that heard one.

A version heard what the data of its runs kept, and all that its ancestors heard. An ancestor is an
earlier version of which a part, or the whole, went into this one: a warm start, a shared codec.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Subquery, exists, select
from sqlalchemy.orm import Session, aliased

from moss_speech.catalogue.consents import withdrawn
from moss_speech.catalogue.lineage_tables import (
    Consent,
    DatasetSpeaker,
    Run,
    VersionFolder,
    VersionRun,
)
from moss_speech.catalogue.tables import Dataset, ModelVersion, Source


@dataclass(frozen=True)
class RunFacts:
    """A run of a stage; see the table `runs`."""

    id: str
    stage: str
    fingerprint: str
    commit: str
    uncommitted: bool
    inputs: Mapping[str, str]
    output: str
    params: Mapping[str, str]


@dataclass(frozen=True)
class Heard:
    """A version that heard a speaker, and where: in its own data or through ancestors."""

    version: int
    datasets: tuple[str, ...]
    """Digests of the datasets, its ancestors' included."""
    through: tuple[int, ...]
    """The ancestors whose own data kept the speaker; empty if only its own data did."""


def record_origin(
    session: Session,
    version: ModelVersion,
    runs: Iterable[RunFacts],
    inputs: Mapping[str, str],
    parts: Mapping[str, str],
) -> None:
    """Write what a version was made by and of; what is known already is left as it is.

    `inputs` are those that no run names, by name; of runs each one's own count.
    """
    number, folders = version.version, {("input", *item) for item in inputs.items()}
    folders |= {("part", *item) for item in parts.items()}
    for run in runs:
        folders |= {("input", *item) for item in run.inputs.items()}
        if session.get(Run, run.id) is None:
            session.add(Run(**asdict(run)))
            session.flush()
        if session.get(VersionRun, (number, run.id)) is None:
            session.add(VersionRun(version=number, run_id=run.id))
    for role, name, digest in sorted(folders):
        if session.get(VersionFolder, (number, role, name, digest)) is None:
            row = VersionFolder(version=number, role=role, name=name, digest=digest)
            session.add(row)
    session.flush()


def runs_of(session: Session, version: int) -> list[Run]:
    """Runs that had a part in a version, by stage."""
    query = select(Run).join(VersionRun).where(VersionRun.version == version)
    return list(session.scalars(query.order_by(Run.stage, Run.id)))


def _parents(session: Session) -> dict[int, set[int]]:
    """Earlier versions of which something went into each version."""
    went_in, part = aliased(VersionFolder), aliased(VersionFolder)
    query = select(went_in.version, part.version).where(
        went_in.role == "input",
        part.role == "part",
        part.digest == went_in.digest,
        part.version < went_in.version,
    )
    found: dict[int, set[int]] = {}
    for child, parent in session.execute(query.distinct()):
        found.setdefault(child, set()).add(parent)
    return found


def ancestors(session: Session, version: int) -> list[int]:
    """Earlier versions that a version was trained from, at any remove, oldest first."""
    return _ancestors(_parents(session), version)


def _ancestors(parents: Mapping[int, set[int]], version: int) -> list[int]:
    found, todo = set[int](), [version]
    while todo:
        new = parents.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return sorted(found)


def _made_of() -> Subquery:
    """Rows (version, dataset_id) of what each version was made of, its ancestors' apart."""
    own = select(ModelVersion.version, ModelVersion.dataset_id).where(
        ModelVersion.dataset_id.is_not(None)
    )
    went_in = (
        select(VersionFolder.version, Dataset.id)
        .join(Dataset, Dataset.digest == VersionFolder.digest)
        .where(VersionFolder.role == "input")
    )
    return own.union(went_in).subquery()


def datasets_of(session: Session, version: int) -> list[Dataset]:
    """Datasets that a version was made of, without its ancestors'."""
    made_of = _made_of()
    mine = select(made_of.c.dataset_id).where(made_of.c.version == version)
    return list(session.scalars(select(Dataset).where(Dataset.id.in_(mine)).order_by(Dataset.id)))


def _keeping(session: Session, source: str | None, speaker: str | None) -> dict[int, str]:
    """Datasets that hold a source and kept a speaker, by id; None stands for any."""
    query = select(Dataset.id, Dataset.digest)
    if source is not None:
        query = query.where(exists().where(Source.dataset_id == Dataset.id, Source.name == source))
    if speaker is not None:
        theirs = DatasetSpeaker.speaker == speaker, DatasetSpeaker.n_kept > 0
        query = query.where(exists().where(DatasetSpeaker.dataset_id == Dataset.id, *theirs))
    return {row.id: row.digest for row in session.execute(query)}


def versions_that_heard(
    session: Session, speaker: str | None, source: str | None = None
) -> list[Heard]:
    """Every version whose data, or its ancestors' data, kept a speaker's utterance.

    Without a speaker: data that hold the source; with both, data that hold both.
    """
    if not (keeping := _keeping(session, source, speaker)):
        return []
    numbers = list(session.scalars(select(ModelVersion.version).order_by(ModelVersion.version)))
    own, parents = {number: set[str]() for number in numbers}, _parents(session)
    for number, dataset in session.execute(select(_made_of())):
        own[number] |= {keeping[dataset]} if dataset in keeping else set()
    heard = []
    for number in numbers:
        through = [a for a in _ancestors(parents, number) if own[a]]
        digests = own[number].union(*(own[a] for a in through))
        if digests:
            heard.append(Heard(number, tuple(sorted(digests)), tuple(through)))
    return heard


def datasets_that_kept(session: Session, speaker: str | None, source: str | None) -> list[str]:
    """Digests of the datasets that hold a source and kept a speaker, oldest first."""
    found = _keeping(session, source, speaker)
    return [found[key] for key in sorted(found)]


def withdrawals_touching(session: Session, version: int) -> list[Consent]:
    """Withdrawals of people and sources whose speech a version heard."""
    family = [*ancestors(session, version), version]
    mine = {dataset.id for number in family for dataset in datasets_of(session, number)}
    return [w for w in withdrawn(session) if mine & _keeping(session, w.source, w.speaker).keys()]
