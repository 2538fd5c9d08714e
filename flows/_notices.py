"""Which ends of flow runs are told to the team: failures, and every verdict on the champion.

`TOLD` goes into a flow's decorator. Verdicts are read from the catalogue, which alone knows them.
"""

from datetime import datetime
from typing import Any, TypedDict

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import FlowStateHook
from prefect.settings import PREFECT_API_URL

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.promotions import history, reverts
from moss_speech.notices import Kind, Notice, notify
from moss_speech.registry.store import MODEL
from moss_speech.settings import settings

_KINDS: dict[tuple[str, str], Kind] = {
    ("promote", "committed"): "promoted",
    ("rollback", "committed"): "rolled back",
    ("promote", "reverted"): "reverted",
    ("rollback", "reverted"): "reverted",
}
"""Any other outcome is a refusal."""


def verdicts_since(since: datetime) -> list[tuple[Kind, int | None, str]]:
    """Kind, version and reason of every verdict recorded since a moment, oldest first."""
    found: list[tuple[datetime, Kind, int | None, str]] = []
    with catalogue() as session:
        for promotion, outcome in history(session):
            if outcome is not None and outcome.recorded_at >= since:
                kind = _KINDS.get((promotion.kind, outcome.result), "refused")
                found.append((outcome.recorded_at, kind, promotion.new_version, outcome.reason))
        for revert in reverts(session):
            if revert.recorded_at >= since:
                found.append((revert.recorded_at, "reverted", revert.found_version, revert.reason))
    return [(kind, version, reason) for _, kind, version, reason in sorted(found)]


def links_of(run: FlowRun, version: int | None) -> dict[str, str]:
    """Pages of a run and of a version, where servers show them."""
    links = {}
    if api := PREFECT_API_URL.value():
        links["run"] = f"{api.removesuffix('/api')}/runs/flow-run/{run.id}"
    if version is not None and (store := settings().tracking_uri).startswith("http"):
        links["version"] = f"{store}/#/models/{MODEL}/versions/{version}"
    return links


def _tell(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    name = f"{flow.name}/{flow_run.name}"
    if not state.is_completed():
        reason = state.message or state.name or "no reason given"
        notify(Notice("failed", name, reason, links=links_of(flow_run, None)))
    if flow_run.start_time is not None:
        for kind, version, reason in verdicts_since(flow_run.start_time):
            notify(Notice(kind, name, reason, version, links_of(flow_run, version)))


class Hooks(TypedDict):
    """Arguments of a flow's decorator."""

    on_completion: list[FlowStateHook[..., Any]]
    on_failure: list[FlowStateHook[..., Any]]
    on_crashed: list[FlowStateHook[..., Any]]


TOLD: Hooks = {"on_completion": [_tell], "on_failure": [_tell], "on_crashed": [_tell]}
