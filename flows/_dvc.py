"""What DVC says about the pipeline, and how its stages run: DVC decides, this file only starts.

The graph and what changed come from DVC; each stage runs as `dvc repro --single-item STAGE` in
a process group of its own. Nothing here knows Prefect.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

from flows._processes import end_guarded, start_guarded
from moss_speech.params.base import read_yaml
from moss_speech.registry.start import STAGE, has_moved
from moss_speech.settings import child_environment, settings
from moss_speech.stages.runner import threads_of
from moss_speech.storage import InUseError, exclusive

Outcome = Literal["ran", "restored", "unchanged"]
_BUSY = ("Unable to acquire lock", "it is being blocked by")
_LAST_LINES = 15


class DvcBusyError(RuntimeError):
    """Another DVC command holds the workspace; trying again can help."""


class StageFailedError(RuntimeError):
    """A stage ended with an error; the message holds its last lines and how to go on."""


@dataclass(frozen=True)
class Graph:
    """The stages of dvc.yaml in an order that fits, and the parents of each."""

    parents: dict[str, frozenset[str]]

    def downstream(self, stage: str) -> frozenset[str]:
        """`stage` and everything that depends on it; `ValueError` for an unknown stage."""
        if stage not in self.parents:
            raise ValueError(f"no stage {stage!r}; dvc.yaml has {', '.join(self.parents)}")
        reached = {stage}
        for name, parents in self.parents.items():
            if parents & reached:
                reached.add(name)
        return frozenset(reached)

    def stages_to_the_end(self, stage: str) -> int:
        """Length of the longest chain that waits for `stage`, itself included."""
        children = (name for name, parents in self.parents.items() if stage in parents)
        return 1 + max(map(self.stages_to_the_end, children), default=0)


def read_graph(root: Path) -> Graph:
    """Ask DVC for the graph."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        graph = repo.index.graph
        parents = {s.name: frozenset(p.name for p in graph.successors(s)) for s in graph}
    return Graph({name: parents[name] for name in TopologicalSorter(parents).static_order()})


def changed_stages(root: Path) -> frozenset[str]:
    """Ask DVC which stages' params, dependencies or outputs differ from its lock.

    Raises `InUseError` while another process runs a stage.
    """
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            names = {stage.addressing: stage.name for stage in repo.index.stages}
            return frozenset(names[address] for address in repo.status())
    except LockError as error:
        raise InUseError(f"another process runs a stage of {root}: {error}") from error


def moved_stages(root: Path) -> frozenset[str]:
    """Stages to run again though DVC sees no change: an address outside leads elsewhere now."""
    return frozenset({STAGE} if has_moved(root) else ())


@dataclass
class Schedule:
    """Which stage may start: parents done, enough cores left, the longest chain first."""

    graph: Graph
    wanted: frozenset[str]
    threads: dict[str, int]
    cores: int
    running: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)

    def startable(self) -> Iterator[str]:
        """Stages to start now; a stage that wants more than all cores runs alone."""
        waiting = self.wanted - self.running - self.done
        ready = [s for s in waiting if not (self.graph.parents[s] & self.wanted) - self.done]
        ready.sort(key=lambda s: (-self.graph.stages_to_the_end(s), s))
        for stage in ready:
            used = sum(self.threads[s] for s in self.running)
            if self.running and used + self.threads[stage] > self.cores:
                return  # nothing smaller slips in before it
            self.running.add(stage)
            yield stage

    def finish(self, stage: str) -> None:
        """A started stage has ended well."""
        self.running.remove(stage)
        self.done.add(stage)


def schedule_of(root: Path, graph: Graph, wanted: frozenset[str]) -> Schedule:
    """A schedule on this machine's cores with the threads that params.yaml names."""
    params = read_yaml(root / "params.yaml")
    threads = {stage: threads_of(params, stage) for stage in wanted}
    return Schedule(graph, wanted, threads, len(os.sched_getaffinity(0)))


class Workspace:
    """One run's hold on a project root; `open_workspace` makes it and ends what it started."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._live: set[subprocess.Popen[str]] = set()

    def reproduce(
        self,
        stage: str,
        force: bool = False,
        parent_run: str | None = None,
        on_line: Callable[[str], None] = print,
    ) -> Outcome:
        """Let DVC run one stage if it must; `on_line` gets each line that it prints.

        Raises `StageFailedError` or `DvcBusyError`.
        """
        log = self.root / "runs" / stage / "log.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        process = self._start(stage, force, parent_run)
        lines: list[str] = []
        try:
            with log.open("w", encoding="utf-8") as kept:
                for line in process.stdout or ():
                    kept.write(line)
                    lines.append(line.rstrip())
                    on_line(lines[-1])
            code = process.wait()
        finally:
            self._live.discard(process)
            end_guarded(process)
        if code:
            raise _error(stage, code, lines)
        return _outcome(lines)

    def _start(self, stage: str, force: bool, parent_run: str | None) -> subprocess.Popen[str]:
        dvc = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
        more = {"MOSS_ROOT": str(self.root)}
        if parent_run is not None:
            more["MOSS_PARENT_RUN"] = parent_run
        command = [*dvc, *(["--force"] if force else [])]
        process = start_guarded(command, self.root, child_environment(**more), subprocess.PIPE)
        self._live.add(process)
        return process

    def end(self) -> None:
        """Kill every stage that still runs."""
        for process in tuple(self._live):
            end_guarded(process)


def _outcome(lines: list[str]) -> Outcome:
    if any(line.startswith("Running stage") for line in lines):
        return "ran"
    return "restored" if any("is cached - skipping run" in line for line in lines) else "unchanged"


def _error(stage: str, code: int, lines: list[str]) -> RuntimeError:
    last = lines[-_LAST_LINES:]
    if any(sign in line for line in last for sign in _BUSY):
        return DvcBusyError("\n".join([f"stage {stage} waits for another DVC command:", *last]))
    own = [line for line in last if line.startswith(f"stage {stage}: ")]
    reason = own[-1] if own else f"stage {stage}: ended with exit code {code}"
    shown = "\n".join(f"  {line}" for line in last)
    return StageFailedError(
        f"{reason}\nlast lines (all: runs/{stage}/log.txt):\n{shown}\n"
        "`make train` goes on from here: finished stages stay, this one resumes"
    )


@contextmanager
def open_workspace(root: Path) -> Iterator[Workspace]:
    """Hold a project root alone (`InUseError` if another run does) and leave no process behind."""
    with exclusive(settings().state / "train.lock", f"the workspace {root}"):
        workspace = Workspace(root)
        try:
            yield workspace
        finally:
            workspace.end()
