"""Which ends of flow runs are told to the team: failures, and every verdict on the champion.

`TOLD` goes into a flow's decorator. Verdicts are read from the catalogue, which alone knows them;
what was told is marked in the state folder, whichever flow told it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict

from filelock import FileLock
from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import FlowStateHook
from prefect.settings import PREFECT_API_URL

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.promotions import history, reverts
from moss_speech.notices import Kind, Notice, notify
from moss_speech.registry.store import MODEL
from moss_speech.settings import settings
from moss_speech.storage import read_json, write_json

_KINDS: dict[tuple[str, str], Kind] = {
    ("promote", "committed"): "promoted",
    ("rollback", "committed"): "rolled back",
    ("promote", "reverted"): "reverted",
    ("rollback", "reverted"): "reverted",
}
"""Any other outcome is a refusal."""


Verdict = tuple[Kind, int | None, str]
"""Kind, version and reason."""


def untold_verdicts(since: datetime) -> list[Verdict]:
    """Every verdict that no flow of this state folder told yet, oldest first; now they are told.

    The first look ever takes those recorded since a moment.
    """
    mark = settings().state / "told.json"
    mark.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(mark.with_suffix(".lock")):
        found = _verdicts()
        last = read_json(mark) if mark.exists() else {"decision": 0, "edit": 0}
        new = [v for v in found if v.number > last[v.table]]
        if not mark.exists():
            new = [v for v in new if v.recorded_at >= since]
        write_json(mark, last | {v.table: v.number for v in sorted(found, key=lambda v: v.number)})
    return [(v.kind, v.version, v.reason) for v in sorted(new, key=_Recorded.order)]


@dataclass(frozen=True)
class _Recorded:
    """A row of the catalogue; rows of a table are ended in the order of their numbers."""

    table: Literal["decision", "edit"]
    number: int
    recorded_at: datetime
    kind: Kind
    version: int | None
    reason: str

    def order(self) -> tuple[datetime, int]:
        """By time; of one moment as they were written."""
        return self.recorded_at, self.number


def _verdicts() -> list[_Recorded]:
    with catalogue() as session:
        decisions = [
            _Recorded(
                "decision",
                promotion.id,
                outcome.recorded_at,
                _KINDS.get((promotion.kind, outcome.result), "refused"),
                promotion.new_version,
                outcome.reason,
            )
            for promotion, outcome in history(session)
            if outcome is not None
        ]
        edits = [
            _Recorded("edit", row.id, row.recorded_at, "reverted", row.found_version, row.reason)
            for row in reverts(session)
        ]
    return decisions + edits


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
        for kind, version, reason in untold_verdicts(flow_run.start_time):
            notify(Notice(kind, name, reason, version, links_of(flow_run, version)))


class Hooks(TypedDict):
    """Arguments of a flow's decorator."""

    on_completion: list[FlowStateHook[..., Any]]
    on_failure: list[FlowStateHook[..., Any]]
    on_crashed: list[FlowStateHook[..., Any]]


TOLD: Hooks = {"on_completion": [_tell], "on_failure": [_tell], "on_crashed": [_tell]}
