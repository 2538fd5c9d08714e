"""A registered version made again from its code, params and data, or what stands in the way.

The commit is checked out into a worktree in the state folder, with the params and the dvc.lock of
the version. There every stage that the bundle needs runs again, one by one; the first whose output
is not the recorded one is named and ends it. DVC's cache is shared, the stores are not.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version
from moss_speech.catalogue.recipes import RecipeFacts, recipe_of
from moss_speech.registry.dvc_cache import cache_folder
from moss_speech.registry.locked import LockedStage, path_md5, read_lock, stages_to
from moss_speech.registry.recheck import Finding, check_recipe, check_worktree
from moss_speech.registry.recipe import is_repository
from moss_speech.registry.tracking import git
from moss_speech.registry.versions import bundle_of
from moss_speech.settings import child_environment, settings
from moss_speech.storage import exclusive, tree_digest, write_bytes

BUNDLE = "models/bundle"
_OUTPUTS = ("data", "models", "reports", "runs", "site")
_LAST_LINES = 8
Tell = Callable[[Finding], None]


@dataclass(frozen=True)
class Wanted:
    """What is to be made again, and how."""

    version: int
    from_stage: str | None = None
    """Take what is upstream of this stage from the cache."""
    check_only: bool = False
    keep: bool = False
    """Leave the worktree where it is."""


def reproduce(wanted: Wanted, tell: Tell) -> bool:
    """Make a version again; `tell` gets each finding. Whether nothing differs.

    Raises `ValueError` for a version that is unknown or has no recipe, `InUseError` while another
    process makes one again.
    """
    with catalogue() as session:
        version = find_version(session, wanted.version)
        recipe = recipe_of(session, wanted.version)
    where = f"the dvc.lock of version {version.version}"
    stages = stages_to(read_lock(recipe.lock, where), BUNDLE, where)
    found = check_recipe(recipe, stages, bundle_of(version), settings().root)
    for finding in found:
        tell(finding)
    if any(finding.ends for finding in found):
        return False
    with _worktree(recipe, wanted) as folder:
        in_tree = check_worktree(stages, folder)
        for finding in in_tree:
            tell(finding)
        good = not any(finding.differs for finding in (*found, *in_tree))
        if not wanted.check_only:
            good = _rebuild(folder, stages, wanted, version.digest, tell)
    return good


def _rebuild(
    folder: Path, stages: list[LockedStage], wanted: Wanted, digest: str, tell: Tell
) -> bool:
    todo = _restore(folder, stages, wanted.from_stage)
    for stage in todo:
        finding = _run(folder, stage)
        tell(finding)
        if finding.differs:
            return False
    made = tree_digest(folder / BUNDLE)
    same = made == digest
    said = f"digest {made[:12]}" + ("" if same else f", registered is {digest[:12]}")
    tell(Finding("bundle", not same, said))
    return same


def _restore(folder: Path, stages: list[LockedStage], start: str | None) -> list[LockedStage]:
    """Bring what is upstream of `start` from the cache; the stages that are left to run."""
    if start is None:
        return stages
    names = [stage.name for stage in stages]
    if start not in names:
        raise ValueError(f"no stage {start!r} makes the bundle; those that do: {', '.join(names)}")
    made, todo = set[str](), []
    for stage in stages:
        if stage.name == start or stage.deps.keys() & made:
            made |= stage.outs.keys()
            todo.append(stage)
    given = [path for stage in stages if stage not in todo for path in stage.outs]
    if given and (done := _dvc(folder, "checkout", *given)).returncode:
        raise ValueError(f"the cache does not hold {', '.join(given)}: {_last(done)}")
    return todo


def _run(folder: Path, stage: LockedStage) -> Finding:
    done = _dvc(folder, "repro", "--force", "--single-item", stage.name)
    if done.returncode:
        return Finding(stage.name, True, f"does not run: {_last(done)}")
    for path, recorded in stage.outs.items():
        if (made := path_md5(folder / path)) != recorded:
            said = f"the first output that differs: {path} is {made[:12]}, was {recorded[:12]}"
            return Finding(stage.name, True, said)
    return Finding(stage.name, False, f"made {', '.join(stage.outs)} again")


def _dvc(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A DVC command in the worktree, with its code, its own stores, and no network."""
    env = child_environment(
        PYTHONPATH=f"{folder / 'src'}:{folder}",
        MOSS_ROOT=str(folder),
        MOSS_STATE_FOLDER=".moss",
        MOSS_ASSETS_FOLDER=str(settings().assets.resolve()),
        MOSS_MLFLOW_TRACKING_URI=f"sqlite:///{folder / '.moss' / 'mlflow.db'}",
        MOSS_DATABASE_URL=f"sqlite:///{folder / '.moss' / 'catalogue.db'}",
        MOSS_PARENT_RUN="",
        MOSS_OFFLINE="true",
        DVC_SITE_CACHE_DIR=str(folder / ".moss" / "dvc"),
    )
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    lines = (done.stdout + done.stderr).strip().splitlines()
    return " | ".join(lines[-_LAST_LINES:])


@contextmanager
def _worktree(recipe: RecipeFacts, wanted: Wanted) -> Iterator[Path]:
    """The version's code with its params and lock; removed in the end unless it is to be kept."""
    root, state = settings().root, settings().state
    folder = state / "reproduce" / str(wanted.version)
    with exclusive(state / "reproduce.lock", "moss-speech reproduce"):
        _remove(root, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        git(root, "worktree", "add", "--detach", "--force", str(folder), recipe.commit)
        if not is_repository(folder):
            raise ValueError(f"git cannot check {recipe.commit} out into {folder}")
        try:
            _furnish(root, folder, recipe)
            yield folder
        finally:
            if not wanted.keep:
                _remove(root, folder)


def _remove(root: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    git(root, "worktree", "prune")


def _furnish(root: Path, folder: Path, recipe: RecipeFacts) -> None:
    """Params and lock of the version, the shared cache, and recordings that lie below the root."""
    write_bytes(folder / "params.yaml", recipe.params.encode())
    write_bytes(folder / "dvc.lock", recipe.lock.encode())
    cache = f"[cache]\n    dir = {cache_folder(root)}\n"
    config = f"[core]\n    no_scm = true\n    analytics = false\n{cache}"
    write_bytes(folder / ".dvc" / "config.local", config.encode())
    for entry in root.iterdir():
        ours = entry.name.startswith(".") or entry.name in _OUTPUTS
        if entry.is_dir() and not ours and not (folder / entry.name).exists():
            (folder / entry.name).symlink_to(entry.resolve())
