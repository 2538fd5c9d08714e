"""Who is champion: lock, intent, gates, alias, commit; whatever was interrupted is settled.

The catalogue decides; MLflow's alias `champion` follows it. A process may die on any line: the
next one that takes the lock finds the intent without an outcome and closes it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from moss_speech.catalogue.database import catalogue, promotion_lock
from moss_speech.catalogue.models import find_version, last_evaluation
from moss_speech.catalogue.promotions import (
    Kind,
    Result,
    current,
    previous_version,
    record_intent,
    record_outcome,
    record_revert,
    unfinished,
)
from moss_speech.catalogue.tables import Promotion
from moss_speech.params.base import validate_section
from moss_speech.params.gates import Gates
from moss_speech.registry.gates import check_gates, shortfall
from moss_speech.registry.store import MODEL, tracking_client
from moss_speech.registry.versions import APPROVED, CHAMPION, approve, bundle_of, version_with
from moss_speech.storage import InUseError


@dataclass(frozen=True)
class ChampionInfo:
    """The version that may be served, and who accepted it."""

    version: int
    digest: str
    approved_by: str
    promoted_at: datetime


@dataclass(frozen=True)
class Decision:
    """What became of an offer."""

    version: int
    result: Result | Literal["waiting"]
    reason: str

    def __str__(self) -> str:
        said = {"committed": "promoted", "waiting": "not promoted yet"}
        return f"version {self.version} {said.get(self.result, 'not promoted')}: {self.reason}"


def champion() -> ChampionInfo | None:
    """The champion as the catalogue knows it; asks no tracking server."""
    with catalogue() as session:
        now = current(session)
    if now is None:
        return None
    return ChampionInfo(now.new_version, now.digest, now.approved_by, now.recorded_at)


def offer(version: int, gates: Gates) -> Decision:
    """Promote a candidate if its approval is automatic or a person has given it already."""
    if gates.approval == "automatic":
        return promote(version, "automatic gates", gates)
    if version_with(APPROVED) == version:
        return promote(version, "the alias approved", gates)
    wanted = f"set the alias {APPROVED} on version {version} of {MODEL} in the MLflow UI"
    return Decision(version, "waiting", f"{wanted}, then run the promote flow")


def promote(version: int, approved_by: str, gates: Gates) -> Decision:
    """Make a registered version the champion if its gates hold; raises `InUseError` when another
    process promotes for over a minute, `ValueError` for a version that is not registered.
    """
    with promotion_lock():
        _settle()
        if (now := champion()) is not None and now.version == version:
            return Decision(version, "committed", "it is the champion already")
        return _carry_out(_intend("promote", version, approved_by, gates))


def rollback(approved_by: str) -> Decision:
    """Make the previous champion the champion again; `ValueError` if there was none."""
    with promotion_lock():
        _settle()
        with catalogue() as session:
            previous = previous_version(session)
        if previous is None:
            raise ValueError("there is no earlier champion to go back to")
        return _carry_out(_intend("rollback", previous, approved_by, None))


def settle() -> None:
    """Close what a dead process left unfinished and undo direct edits of the champion."""
    with promotion_lock():
        _settle()


def verified_champion() -> ChampionInfo | None:
    """The champion to serve, after direct edits were undone; one under way does not count yet."""
    try:
        with promotion_lock(wait_s=0):
            _settle()
    except InUseError:
        pass  # its process settles and restores; what is committed stays good meanwhile
    return champion()


def _intend(kind: Kind, version: int, approved_by: str, gates: Gates | None) -> Promotion:
    with catalogue() as session:
        now, new = current(session), find_version(session, version)
        old = now.new_version if now else None
        limits = gates.model_dump() if gates else {}
        return record_intent(session, kind, old, new, approved_by, limits)


def _carry_out(promotion: Promotion) -> Decision:
    met, reason = _judge(promotion)
    if met:
        _move_aliases(promotion)
    decision = _close(promotion, "committed" if met else "refused", reason)
    tracking_client().set_model_version_tag(
        MODEL, str(decision.version), "moss.decision", str(decision)
    )
    return decision


def _judge(promotion: Promotion) -> tuple[bool, str]:
    """Whether the version may be champion, and the figures that say so.

    The bundle must be what was registered; a rollback was judged when it was promoted.
    """
    with catalogue() as session:
        version = find_version(session, promotion.new_version)
        reached = last_evaluation(session, version.digest)
    try:
        bundle_of(version)
    except ValueError as error:
        return False, str(error)
    if promotion.kind == "rollback":
        return True, f"rolled back from version {promotion.old_version}"
    gates = validate_section(promotion.gates, Gates, "gates")
    results = check_gates({name: row.value for name, row in reached.items()}, gates)
    if missed := shortfall(results):
        return False, missed
    return True, "; ".join(str(result) for result in results)


def _move_aliases(promotion: Promotion) -> None:
    if promotion.kind == "promote":
        approve(promotion.new_version)
    tracking_client().set_registered_model_alias(MODEL, CHAMPION, str(promotion.new_version))


def _close(promotion: Promotion, result: Result, reason: str) -> Decision:
    with catalogue() as session:
        record_outcome(session, promotion, result, reason)
    return Decision(promotion.new_version, result, reason)


def _settle() -> None:
    """Needs the lock. An interrupted promotion counts if its alias had moved and its gates hold."""
    with catalogue() as session:
        open_ones = unfinished(session)
    for promotion in open_ones:
        met, reason = _judge(promotion)
        if met and version_with(CHAMPION) == promotion.new_version:
            _close(promotion, "committed", f"settled after an interruption: {reason}")
        else:
            _close(promotion, "reverted", "interrupted before it was complete; promote again")
    _restore()


def _restore() -> None:
    """Make the alias what the catalogue says; who moved it is told why in the version's tags."""
    found, now = version_with(CHAMPION), champion()
    wanted = now.version if now else None
    if found == wanted:
        return
    reason = f"alias {CHAMPION} was moved to {found or 'nothing'} without a committed promotion"
    with catalogue() as session:
        record_revert(session, found, wanted, reason)
    client = tracking_client()
    if found is not None:
        client.set_model_version_tag(MODEL, str(found), "moss.reverted", reason)
    if wanted is None:
        client.delete_registered_model_alias(MODEL, CHAMPION)
    else:
        client.set_registered_model_alias(MODEL, CHAMPION, str(wanted))
