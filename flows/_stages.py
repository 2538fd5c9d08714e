"""How Prefect shows the stages that DVC runs: one task each, with log lines and progress."""

import queue
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Failed

from flows._dvc import (
    DvcBusyError,
    Outcome,
    StageFailedError,
    Workspace,
    changed_stages,
    moved_stages,
    read_graph,
    schedule_of,
)
from moss_speech.params.base import read_yaml
from moss_speech.records import Progress
from moss_speech.registry.tracking import link_skipped
from moss_speech.stages.runner import declaration, fingerprint, input_digests
from moss_speech.storage import read_json

_REPORT_EVERY_S = 3.0
_CHATTER = (
    "Updating lock file",
    "To track the changes",
    "git add dvc.lock",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
)


@dataclass(frozen=True)
class StageReport:
    """What one stage did: when its process ran, what DVC took around it, its peak memory."""

    stage: str
    outcome: Outcome
    started_s: float = 0.0
    ended_s: float = 0.0
    around_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: int = 0

    def row(self) -> dict[str, Any]:
        """A row of the table of stages."""
        return {
            "stage": self.stage,
            "outcome": self.outcome,
            "seconds": round(self.ended_s - self.started_s, 1),
            "around it": round(self.around_s, 1),
            "CPU seconds": round(self.cpu_s, 1),
            "peak MB": self.peak_mb,
        }


def busy_seconds(reports: list[StageReport]) -> float:
    """Seconds during which at least one stage's process ran."""
    busy_s, until_s = 0.0, 0.0
    for report in sorted(reports, key=lambda r: r.started_s):
        busy_s += max(0.0, report.ended_s - max(report.started_s, until_s))
        until_s = max(until_s, report.ended_s)
    return busy_s


def duration(seconds: float) -> str:
    """Minutes and seconds as people read them."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@dataclass
class _Voice:
    """Turns the lines of one stage into log lines and a progress artifact, not too often."""

    stage: str
    artifact: UUID
    log: Any
    first: tuple[float, int] | None = None
    said_s: float = field(default=-_REPORT_EVERY_S)

    def hear(self, line: str) -> None:
        """Pass one line on."""
        progress = Progress.parse(line)
        if progress is not None:
            self._progress(progress)
        elif line.strip() and not line.strip().startswith(_CHATTER):
            self.log.info("%s: %s", self.stage, line)

    def _progress(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if self.first is None or progress.done < self.first[1]:
            self.first = (now_s, progress.done)
        if now_s - self.said_s < _REPORT_EVERY_S and progress.done < progress.total:
            return
        self.said_s = now_s
        percent = 100 * progress.done / max(progress.total, 1)
        words = f"{percent:.0f} %{self._time_left(progress, now_s)} {progress.note}".strip()
        self.log.info("%s: %s", self.stage, words)
        update_progress_artifact(self.artifact, percent, f"{self.stage}: {words}")

    def _time_left(self, progress: Progress, now_s: float) -> str:
        start_s, start_done = self.first or (now_s, 0)
        gained = progress.done - start_done
        if not gained or progress.done >= progress.total:
            return ","
        left_s = (now_s - start_s) / gained * (progress.total - progress.done)
        return f", {duration(left_s)} left,"


def _is_busy(_task: object, _run: object, state: State[Any]) -> bool:
    """A retry helps only while another DVC command holds the workspace."""
    return isinstance(state.result(raise_on_failure=False), DvcBusyError)


@task(
    task_run_name="{stage}",
    retries=20,
    retry_delay_seconds=3,
    retry_condition_fn=_is_busy,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def reproduce(
    stage: str, workspace: Workspace, parent_run: str, ask_dvc: bool, force: bool
) -> StageReport | State[Any]:
    """Let DVC bring one stage up to date; unless it is known to be so already."""
    log = get_run_logger()
    if not ask_dvc:
        log.info("%s: unchanged", stage)
        _link(stage, workspace, parent_run)
        return StageReport(stage, "unchanged")
    key = f"progress-{stage.replace('_', '-')}"
    artifact = cast(UUID, create_progress_artifact(0.0, key, f"{stage}: starting"))
    started_s = time.time()
    try:
        outcome = workspace.reproduce(stage, force, parent_run, _Voice(stage, artifact, log).hear)
    except StageFailedError as error:
        return Failed(message=str(error), data=error)  # raised, it would bring a traceback along
    if outcome != "ran":
        _link(stage, workspace, parent_run)
    report = _report(workspace, stage, outcome, time.time() - started_s)
    update_progress_artifact(artifact, 100.0, f"{stage}: {outcome}")
    log.info("%s: %s in %s", stage, outcome, duration(time.time() - started_s))
    return report


def _link(stage: str, workspace: Workspace, parent_run: str) -> None:
    declared = declaration(workspace.root, stage)
    params = read_yaml(workspace.root / "params.yaml")
    mark = fingerprint(declared, params, input_digests(declared))
    link_skipped(parent_run, stage, mark)


def _report(workspace: Workspace, stage: str, outcome: Outcome, whole_s: float) -> StageReport:
    if outcome != "ran":
        return StageReport(stage, outcome, around_s=whole_s)
    usage = read_json(workspace.root / "runs" / stage / "usage.json")
    around_s = whole_s - (usage["ended_s"] - usage["started_s"])
    return StageReport(stage, outcome, around_s=around_s, **usage)


def run_stages(
    workspace: Workspace, parent_run: str, from_stage: str | None, force: bool
) -> list[StageReport]:
    """Bring the wanted stages up to date, side by side where the threads allow it.

    `from_stage` and `force` never touch what is upstream of the named stage. A start whose address
    leads to another model now is brought again. The first stage that fails ends the others and
    raises its own error.
    """
    graph = read_graph(workspace.root)
    wanted = frozenset(graph.parents) if from_stage is None else graph.downstream(from_stage)
    forced = wanted if force else moved_stages(workspace.root) & wanted
    stale = forced | changed_stages(workspace.root) & wanted
    schedule = schedule_of(workspace.root, graph, wanted)
    futures: dict[str, PrefectFuture[Any]] = {}
    reports: dict[str, StageReport] = {}
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    while schedule.done < wanted:
        for stage in schedule.startable():
            parents = graph.parents[stage] & wanted
            ask_dvc = stage in stale or any(reports[p].outcome != "unchanged" for p in parents)
            before = [futures[p] for p in parents]
            run = reproduce.submit(
                stage,
                workspace,
                parent_run,
                ask_dvc,
                stage in forced,
                wait_for=before,
                return_state=False,
            )
            futures[stage] = run
            run.add_done_callback(partial(_put, ended, stage))
        stage = ended.get()
        reports[stage] = futures[stage].result()
        schedule.finish(stage)
    return [reports[stage] for stage in graph.parents if stage in wanted]


def _put(ended: "queue.SimpleQueue[str]", stage: str, _future: PrefectFuture[Any]) -> None:
    ended.put(stage)
