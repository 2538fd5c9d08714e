"""Who is champion: lock, intent, gates, alias, commit; whatever was interrupted is settled.

The catalogue decides; MLflow's alias `champion` follows it. A process may die on any line: the
next one that takes the lock finds the intent without an outcome and closes it.
"""

import getpass
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from moss_speech.catalogue.database import catalogue, promotion_lock
from moss_speech.catalogue.models import find_version
from moss_speech.catalogue.promotions import (
    GateResult,
    Kind,
    Result,
    Wanted,
    current,
    earlier_champions,
    gates_of,
    motive_of,
    record_gates,
    record_intent,
    record_outcome,
    record_revert,
    rolled_back_from,
    unfinished,
)
from moss_speech.catalogue.tables import Promotion
from moss_speech.params.base import validate_section
from moss_speech.params.gates import Gates
from moss_speech.params.sections import load_pipeline
from moss_speech.registry.gates import shortfall
from moss_speech.registry.judging import Trial, consent_to, judge, try_version, whole_bundle
from moss_speech.registry.store import MODEL, GoneError, asking_stores, tracking_client
from moss_speech.registry.versions import APPROVED, CHAMPION, approve, set_alias, version_with
from moss_speech.storage import InUseError

_LOG = logging.getLogger(__name__)
_BY_ALIAS = "the alias approved"
_TAG_CHARS = 5000
"""Longest tag of a version in MLflow."""


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


def gates_of_root(root: Path) -> Gates:
    """The limits that params.yaml of a project root names; the whole file must be valid."""
    return load_pipeline(root / "params.yaml").gates


def chosen_version(version: int | None, by: str | None) -> tuple[int, str]:
    """A version and who chose it: `by`, else the login name for a number, else the alias.

    Without a number the one that carries the alias `approved`; `ValueError` if none does.
    """
    if version is not None:
        return version, by or getpass.getuser()
    if (found := version_with(APPROVED)) is None:
        raise ValueError(f"no version carries the alias {APPROVED!r}; set it in the MLflow UI")
    return found, by or _BY_ALIAS


@asking_stores()
def offer(version: int, gates: Gates) -> Decision:
    """Promote a candidate if its approval is automatic or a person has given it already.

    What was rolled back from is refused: only a person brings it back, by its number.
    """
    approved_by = "automatic gates" if gates.approval == "automatic" else _BY_ALIAS
    if gates.approval == "automatic" or version_with(APPROVED) == version:
        wanted = Wanted(approved_by, "", gates.model_dump(), offered=True)
        return decide(version, wanted, try_version(version, gates))
    to_do = f"set the alias {APPROVED} on version {version} of {MODEL} in the MLflow UI"
    return Decision(version, "waiting", f"{to_do}, then run `moss-speech promote`")


@asking_stores()
def promote(version: int, approved_by: str, gates: Gates, why: str = "") -> Decision:
    """Make a registered version the champion if its gates hold.

    Raises what `decide` raises. The bundle is tried before anybody has to wait for the lock.
    """
    wanted = Wanted(approved_by, why, gates.model_dump())
    return decide(version, wanted, try_version(version, gates))


@asking_stores()
def decide(version: int, wanted: Wanted, trial: Trial) -> Decision:
    """Judge a version that was tried, and make it the champion if all gates hold.

    Raises `InUseError` when another process promotes for over a minute, `ValueError` for a version
    that is not registered.
    """
    with promotion_lock():
        _settle()
        if (now := champion()) is not None and now.version == version:
            return Decision(version, "committed", "it is the champion already")
        if wanted.offered and (left := _why_left(version)):
            return Decision(version, "refused", left)
        promotion = _intend("promote", version, wanted)
        gates = validate_section(promotion.gates, Gates, "gates")
        return _carry_out(promotion, judge(promotion, gates, trial))


@asking_stores()
def rollback(approved_by: str, why: str = "") -> Decision:
    """Make the last champion that may be served the champion again; `ValueError` if none was.

    Its gates held when it was promoted: only the bundle's digest and that nobody whom it heard
    has withdrawn are checked again. Each that is refused is on record; if all are, the decision
    is on the last one and names them all.
    """
    _bring_previous()
    with promotion_lock():
        _settle()
        with catalogue() as session:
            earlier = earlier_champions(session)
        refused = list[Decision]()
        for version in earlier:
            promotion = _intend("rollback", version, Wanted(approved_by, why, {}))
            decision = _carry_out(promotion, _judge_rollback(promotion))
            if decision.result == "committed":
                return decision
            refused.append(decision)
        if not refused:
            raise ValueError("there is no earlier champion to go back to")
        return replace(refused[-1], reason="; ".join(found.reason for found in refused))


def _bring_previous() -> None:
    """Fetch a remote bundle before anybody has to wait for the lock; it is judged under it."""
    with catalogue() as session:
        versions = [find_version(session, version) for version in earlier_champions(session)[:1]]
    for version in versions:
        whole_bundle(version)


@asking_stores()
def verified_champion() -> ChampionInfo | None:
    """The champion to serve, after direct edits were undone; one under way does not count yet."""
    try:
        with promotion_lock(wait_s=0):
            _settle()
    except InUseError:
        pass  # its process settles and restores; what is committed stays good meanwhile
    return champion()


def _why_left(version: int) -> str:
    """Why a version that was rolled back from is no champion any more; empty for any other."""
    with catalogue() as session:
        left = rolled_back_from(session, version)
        why = motive_of(session, left) if left else ""
    if left is None:
        return ""
    said = f"{left.approved_by} rolled back from it on {left.recorded_at:%F}{why and ': '}{why}"
    return f"{said}; `moss-speech promote {version}` promotes it all the same"


def _intend(kind: Kind, version: int, wanted: Wanted) -> Promotion:
    with catalogue() as session:
        now, new = current(session), find_version(session, version)
        old = now.new_version if now else None
        return record_intent(session, kind, old, new, wanted)


def _judge_rollback(promotion: Promotion) -> list[GateResult]:
    with catalogue() as session:
        version = find_version(session, promotion.new_version)
        why = motive_of(session, promotion)
    if isinstance(folder := whole_bundle(version), GateResult):
        return [folder]
    if not (consent := consent_to(version.version)).met:
        return [consent]
    said = f"rolled back from version {promotion.old_version}{why and ': '}{why}"
    return [GateResult("bundle", True, said, {})]


def _carry_out(promotion: Promotion, results: list[GateResult]) -> Decision:
    """Results are on record before the alias moves: who settles needs not judge again."""
    with catalogue() as session:
        record_gates(session, promotion, results)
    missed = shortfall(results)
    if not missed:
        missed = _move_aliases(promotion)
    decision = _close(promotion, "refused" if missed else "committed", missed or _all(results))
    _show(decision.version, "moss.decision", str(decision))
    return decision


def _all(results: list[GateResult]) -> str:
    return "; ".join(str(result) for result in results)


def _move_aliases(promotion: Promotion) -> str:
    """Returns why they cannot be moved; empty if they were."""
    try:
        if promotion.kind == "promote" or version_with(APPROVED) == promotion.old_version:
            approve(promotion.new_version)
        set_alias(CHAMPION, promotion.new_version)
    except GoneError as error:
        return str(error)
    return ""


def _close(promotion: Promotion, result: Result, reason: str) -> Decision:
    with catalogue() as session:
        record_outcome(session, promotion, result, reason)
    return Decision(promotion.new_version, result, reason)


def _show(version: int, tag: str, said: str) -> None:
    """Show a decision on the registry's page; it stands even if nobody can be shown it now."""
    from mlflow.exceptions import MlflowException

    try:
        tracking_client().set_model_version_tag(MODEL, str(version), tag, said[:_TAG_CHARS])
    except MlflowException as error:
        _LOG.warning("%s; the registry's page does not show it: %s", said, error)


def _settle() -> None:
    """Needs the lock. An interrupted promotion counts if it was judged and its alias had moved."""
    with catalogue() as session:
        open_ones = [(promotion, gates_of(session, promotion)) for promotion in unfinished(session)]
    for promotion, results in open_ones:
        judged = bool(results) and not shortfall(results)
        if judged and version_with(CHAMPION) == promotion.new_version:
            _close(promotion, "committed", f"settled after an interruption: {_all(results)}")
        else:
            _close(promotion, "reverted", "interrupted before it was complete; promote again")
    _restore()


def _restore() -> None:
    """Make the alias what the catalogue says; who moved it is told why in the version's tags.

    A champion whose entry was deleted stays champion, and no other version keeps the alias.
    """
    found, now = version_with(CHAMPION), champion()
    wanted = now.version if now else None
    if found == wanted:
        return
    reason = f"alias {CHAMPION} was moved to {found or 'nothing'} without a committed promotion"
    try:
        _point_at(wanted)
    except GoneError as error:
        _LOG.warning("the champion stays without its alias: %s", error)
        if found is None:
            return
        wanted = None
        _point_at(wanted)
    with catalogue() as session:
        record_revert(session, found, wanted, reason)
    if found is not None:
        _show(found, "moss.reverted", reason)


def _point_at(version: int | None) -> None:
    if version is None:
        tracking_client().delete_registered_model_alias(MODEL, CHAMPION)
    else:
        set_alias(CHAMPION, version)
