import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import yaml

from flows._dvc import (
    DvcBusyError,
    StageFailedError,
    Workspace,
    changed_stages,
    open_workspace,
)
from moss_speech.records import Progress
from moss_speech.settings import child_environment
from moss_speech.storage import InUseError
from tests.flows.sleeping import write_params

ROOT = Path(__file__).parents[2]
STAGES = ("a", "b", "c")
GUARD = str(ROOT / "flows" / "_guard.py")


def reproduce_all(workspace: Workspace) -> dict[str, object]:
    """All stages at once; the outcome or the error of each."""

    def one(stage: str) -> object:
        for _ in range(20):
            try:
                return workspace.reproduce(stage, on_line=lambda _: None)
            except DvcBusyError:
                time.sleep(0.5)  # the system has not yet removed the killed process
            except StageFailedError as error:
                return error
        raise TimeoutError(f"stage {stage} stays locked")

    with ThreadPoolExecutor(len(STAGES)) as pool:
        return dict(zip(STAGES, pool.map(one, STAGES), strict=True))


def processes_of(root: Path, *words: str) -> list[psutil.Process]:
    """Processes working in `root` that have all words as arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(root) and set(words) <= set(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_group(root: Path, stage: str) -> None:
    for process in processes_of(root, GUARD, stage):
        for member in (*process.children(recursive=True), process):
            member.send_signal(signal.SIGKILL)


def kill_dvc(root: Path, stage: str) -> None:
    for process in processes_of(root, "dvc", stage):
        if GUARD not in process.cmdline():
            process.send_signal(signal.SIGKILL)


def kill_stage(root: Path, stage: str) -> None:
    for process in processes_of(root, "work.py", stage):
        process.send_signal(signal.SIGKILL)


def locked(root: Path) -> dict[str, int]:
    """The value of n that dvc.lock records for each stage."""
    content = yaml.safe_load((root / "dvc.lock").read_text())
    return {
        name: s["params"]["params.yaml"][f"{name}"]["n"] for name, s in content["stages"].items()
    }


def kill_at_work(root: Path, stage: str, kill: Callable[[Path, str], None]) -> None:
    """Kill as soon as the stage's own process is there."""
    while not processes_of(root, "work.py", stage):
        time.sleep(0.02)
    kill(root, stage)


def overlap_and_kill(root: Path, n: int, victim: str, killer: threading.Thread) -> object:
    """Three stages at once, one killed; then the lock, and a second run, must be whole."""
    write_params(root, a=n, b=n, c=n)
    killer.start()
    first = reproduce_all(Workspace(root))
    killer.join()
    for stage in STAGES:
        if not isinstance(first[stage], Exception):
            assert locked(root)[stage] == n, f"{stage} ended well, its entry is not in the lock"
    assert not processes_of(root, "work.py"), "a stage outlived its run"
    second = reproduce_all(Workspace(root))
    assert {s: o for s, o in second.items() if isinstance(o, Exception)} == {}
    assert locked(root) == dict.fromkeys(STAGES, n)
    assert changed_stages(root) == frozenset()
    for stage in STAGES:
        assert (root / "out" / stage / "value.txt").read_text() == f"in{stage}{n}"
    return first[victim]


@pytest.mark.parametrize(
    "kill",
    [
        kill_dvc,
        pytest.param(kill_group, marks=pytest.mark.slow),
        pytest.param(kill_stage, marks=pytest.mark.slow),
    ],
)
def test_overlapped_stages_keep_the_lock_whole_when_one_is_killed(
    root: Path, kill: Callable[[Path, str], None]
) -> None:
    killer = threading.Thread(target=kill_at_work, args=(root, "b", kill))
    killed = overlap_and_kill(root, 1, "b", killer)
    assert isinstance(killed, StageFailedError)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_leave_the_lock_whole(root: Path) -> None:
    moments, failed = random.Random(1), 0
    for n in range(1, 21):
        kill, victim = (kill_group, kill_dvc, kill_stage)[n % 3], moments.choice(STAGES)
        killer = threading.Timer(moments.uniform(0.3, 1.5), kill, (root, victim))
        failed += isinstance(overlap_and_kill(root, n, victim, killer), StageFailedError)
    assert failed >= 5, f"only {failed} of 20 kills hit a stage at work"


def test_second_run_on_one_workspace_is_refused(root: Path) -> None:
    second = open_workspace(root)
    with open_workspace(root), pytest.raises(InUseError, match=r"the workspace .* is in use"):
        second.__enter__()


def test_changes_are_not_told_while_a_stage_runs(root: Path) -> None:
    write_params(root, seconds=8)
    seen = threading.Event()
    with open_workspace(root) as workspace, ThreadPoolExecutor(1) as beside:
        stage = beside.submit(workspace.reproduce, "a", on_line=lambda _: seen.set())
        assert seen.wait(60)
        with pytest.raises(InUseError, match="another process runs a stage"):
            while not stage.done():
                changed_stages(root)
        stage.result()
    assert "a" not in changed_stages(root)


def test_ended_run_leaves_no_process_behind(root: Path) -> None:
    with ThreadPoolExecutor(1) as pool, open_workspace(root) as workspace:
        running = pool.submit(workspace.reproduce, "a", on_line=lambda _: None)
        while not processes_of(root, "work.py", "a"):
            time.sleep(0.02)
        workspace.end()
        assert isinstance(running.exception(), StageFailedError)
    assert not processes_of(root, "work.py")


def test_failed_stage_tells_its_own_error_and_how_to_resume(root: Path) -> None:
    write_params(root, a="broken")
    with pytest.raises(StageFailedError) as failed:
        Workspace(root).reproduce("a", on_line=lambda _: None)
    message = str(failed.value)
    assert message.startswith("stage a: n is broken, must be a number")
    assert "progress 3/4 asleep" in message
    assert "`make train` goes on from here" in message
    assert "n is broken" in (root / "runs" / "a" / "log.txt").read_text()


def test_lines_reach_the_listener_while_the_stage_runs(root: Path) -> None:
    heard: list[Progress] = []

    def hear(line: str) -> None:
        if progress := Progress.parse(line):
            heard.append(progress)

    assert Workspace(root).reproduce("a", on_line=hear) == "ran"
    assert [p.done for p in heard] == [0, 1, 2, 3]
    assert Workspace(root).reproduce("a", on_line=hear) == "unchanged"
    assert Workspace(root).reproduce("a", force=True, on_line=hear) == "ran"


def test_everything_ends_when_the_starter_is_killed(root: Path) -> None:
    script = (
        "from pathlib import Path; from flows._dvc import Workspace;"
        f"Workspace(Path({str(root)!r})).reproduce('a')"
    )
    write_params(root, seconds=600)  # long silence: it ends only by being ended
    env = child_environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT}", MOSS_ROOT=str(root))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert any("asleep" in line for line in starter.stdout), "it ended before its stage slept"
        starter.kill()
    for _ in range(100):
        if not processes_of(root, "work.py") and not processes_of(root, "dvc"):
            return
        time.sleep(0.05)
    raise AssertionError("a stage outlived the process that started it")
