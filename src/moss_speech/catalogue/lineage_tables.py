"""Tables of where models come from: consents, runs, and the folders that went into each version."""

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from moss_speech.catalogue.tables import DIGEST_CHARS, Table, Utc, now


class Consent(Table):
    """That a source or a speaker agreed, or agrees no more; the newest row on both names counts."""

    __tablename__ = "consents"
    __table_args__ = (
        CheckConstraint("state IN ('given', 'withdrawn')", name="state"),
        CheckConstraint("source IS NOT NULL OR speaker IS NOT NULL", name="whose"),
        Index(None, "source", "speaker"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    source: Mapped[str | None]
    """None: whichever source the speaker is in."""
    speaker: Mapped[str | None]
    """None: everybody in the source."""
    terms: Mapped[str]
    """What was agreed to, or why no more."""
    since: Mapped[datetime] = mapped_column(Utc)
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class DatasetSpeaker(Table):
    """How much of a speaker a dataset kept: the sum of verdicts, which are too many to search."""

    __tablename__ = "dataset_speakers"

    speaker: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    n_kept: Mapped[int]


class Run(Table):
    """A run of a stage that had a part in a registered version."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "fingerprint"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    """That of MLflow."""
    stage: Mapped[str]
    fingerprint: Mapped[str]
    commit: Mapped[str]
    """Empty where the project root was no git repository."""
    uncommitted: Mapped[bool]
    inputs: Mapped[dict[str, str]] = mapped_column(JSON)
    """Digest by the name of each input folder."""
    output: Mapped[str]
    """Digest of what it made; empty if it was not filed."""
    params: Mapped[dict[str, str]] = mapped_column(JSON)
    recorded_at: Mapped[datetime] = mapped_column(Utc, default=now)


class VersionRun(Table):
    """A run that had a part in a version."""

    __tablename__ = "version_runs"

    version: Mapped[int] = mapped_column(ForeignKey("model_versions.version"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)


class VersionFolder(Table):
    """A folder that went into a version (`input`), or that it consists of (`part`)."""

    __tablename__ = "version_folders"
    __table_args__ = (
        CheckConstraint("role IN ('input', 'part')", name="role"),
        Index(None, "digest"),
    )

    version: Mapped[int] = mapped_column(ForeignKey("model_versions.version"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_CHARS), primary_key=True)
