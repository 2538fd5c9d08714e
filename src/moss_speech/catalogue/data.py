"""Which data a dataset holds: sources with licence and consent, the verdict on each utterance."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice

from sqlalchemy import case, func, insert, select
from sqlalchemy.orm import Session

from moss_speech.catalogue.lineage_tables import DatasetSpeaker
from moss_speech.catalogue.tables import Dataset, ModelVersion, Source, Verdict

_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class SourceFacts:
    """Where recordings came from, and what their owners allow."""

    name: str
    licence: str
    consent: str
    n_utterances: int


@dataclass(frozen=True)
class VerdictFacts:
    """Whether an utterance was kept; `reason`, `value` and `allowed` only for a reject."""

    utterance: str
    speaker: str
    kept: bool
    reason: str | None = None
    value: str | None = None
    allowed: str | None = None


def find_dataset(session: Session, digest: str) -> Dataset | None:
    """The dataset with this content, if it was recorded."""
    return session.scalars(select(Dataset).where(Dataset.digest == digest)).first()


def dataset_of(session: Session, version: ModelVersion) -> Dataset | None:
    """The dataset that a model version was trained on, if it was recorded."""
    return session.get(Dataset, version.dataset_id) if version.dataset_id else None


def record_dataset(
    session: Session, digest: str, sources: Iterable[SourceFacts], verdicts: Iterable[VerdictFacts]
) -> Dataset:
    """Write a dataset with its sources and verdicts, in batches; a known one is left as it is."""
    if (known := find_dataset(session, digest)) is not None:
        return known
    dataset = Dataset(digest=digest)
    session.add(dataset)
    session.flush()
    session.add_all(Source(dataset_id=dataset.id, **asdict(source)) for source in sources)
    rows = iter(verdicts)
    while batch := [{"dataset_id": dataset.id, **vars(v)} for v in islice(rows, _ROWS_AT_ONCE)]:
        session.execute(insert(Verdict), batch)
    _sum_speakers(session, dataset.id)
    return dataset


def _sum_speakers(session: Session, dataset_id: int) -> None:
    kept = func.sum(case((Verdict.kept, 1), else_=0))
    sums = select(Verdict.speaker, Verdict.dataset_id, kept)
    sums = sums.where(Verdict.dataset_id == dataset_id)
    names = ["speaker", "dataset_id", "n_kept"]
    grouped = sums.group_by(Verdict.speaker, Verdict.dataset_id)
    session.execute(insert(DatasetSpeaker).from_select(names, grouped))


def sources_of(session: Session, dataset: Dataset) -> list[Source]:
    """Sources of a dataset by name."""
    query = select(Source).where(Source.dataset_id == dataset.id).order_by(Source.name)
    return list(session.scalars(query))


def facts_of(session: Session, dataset_id: int | None) -> list[SourceFacts] | None:
    """Sources of the dataset of a version; None if no dataset was recorded for it."""
    if dataset_id is None or (dataset := session.get(Dataset, dataset_id)) is None:
        return None
    rows = sources_of(session, dataset)
    return [SourceFacts(row.name, row.licence, row.consent, row.n_utterances) for row in rows]


def verdict_on(session: Session, dataset: Dataset, utterance: str) -> Verdict | None:
    """What cleaning said of one utterance."""
    return session.get(Verdict, (dataset.id, utterance))


@dataclass(frozen=True)
class KnownNames:
    """Names that any recorded dataset has."""

    speakers: frozenset[str]
    sources: frozenset[str]


def known_names(session: Session) -> KnownNames:
    """Every speaker and source of every dataset."""
    speakers = session.scalars(select(DatasetSpeaker.speaker).distinct())
    return KnownNames(
        frozenset(speakers) - {""}, frozenset(session.scalars(select(Source.name).distinct()))
    )
