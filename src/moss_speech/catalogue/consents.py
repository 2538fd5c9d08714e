"""Who agreed that their speech is trained on, and who does no more; rows are only added."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from moss_speech.catalogue.lineage_tables import Consent
from moss_speech.catalogue.tables import now

State = Literal["given", "withdrawn"]
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Whose:
    """Whose consent it is: a speaker's, a whole source's, or a speaker's in one source."""

    source: str | None = None
    speaker: str | None = None

    def __post_init__(self) -> None:
        if self.source is None and self.speaker is None:
            raise ValueError("name a speaker, a source or both")
        for what, name in asdict(self).items():
            bad = name is not None and (not name.strip() or not name.isprintable())
            if bad or (name is not None and len(name) > _LONGEST_NAME):
                shown = name if len(name) <= _LONGEST_NAME else f"{name[:20]}…"
                raise ValueError(
                    f"{what} is {shown!r}, must be 1 to {_LONGEST_NAME} printable characters"
                )

    def __str__(self) -> str:
        speaker = "everybody" if self.speaker is None else f"speaker {self.speaker}"
        return speaker if self.source is None else f"{speaker} in source {self.source}"


def record_consent(
    session: Session,
    state: State,
    whose: Whose,
    terms: str,
    recorded_by: str,
    since: datetime | None = None,
) -> Consent:
    """Write that consent was given or withdrawn, from `since` on (default: now).

    `ValueError` if nobody answers for it, or for a time to come.
    """
    if not recorded_by.strip():
        raise ValueError("name who records the consent")
    if since is not None and since > now():
        raise ValueError(f"since is {since:%F %T %Z}, must not be later than now")
    row = Consent(state=state, terms=terms, recorded_by=recorded_by, since=since or now())
    row.source, row.speaker = whose.source, whose.speaker
    session.add(row)
    session.flush()
    return row


def record_terms(session: Session, source: str, terms: str, recorded_by: str) -> None:
    """Write what a source declares, if it is new; a withdrawn source stays withdrawn."""
    last = newest(session, Whose(source))
    if terms and (last is None or (last.state == "given" and last.terms != terms)):
        record_consent(session, "given", Whose(source), terms, recorded_by)


def newest(session: Session, whose: Whose) -> Consent | None:
    """The row that counts for exactly these names."""
    mine = select(Consent).where(_is(Consent.source, whose.source))
    mine = mine.where(_is(Consent.speaker, whose.speaker))
    return session.scalars(mine.order_by(Consent.id.desc()).limit(1)).first()


def _is(column: InstrumentedAttribute[str | None], value: str | None) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def withdrawn(session: Session) -> list[Consent]:
    """Withdrawals that still count, oldest first."""
    last = select(func.max(Consent.id)).group_by(Consent.source, Consent.speaker)
    query = select(Consent).where(Consent.id.in_(last), Consent.state == "withdrawn")
    return list(session.scalars(query.order_by(Consent.id)))


def consents(session: Session, speaker: str | None = None) -> list[Consent]:
    """Every row, oldest first; of one speaker only if named."""
    query = select(Consent).order_by(Consent.id)
    return list(session.scalars(query if speaker is None else query.filter_by(speaker=speaker)))
