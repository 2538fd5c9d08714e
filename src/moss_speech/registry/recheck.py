"""What can be said of a recipe without training: code, params, packages, the registered bundle."""

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from moss_speech.catalogue.recipes import RecipeFacts
from moss_speech.registry.locked import LockedStage, path_md5
from moss_speech.registry.recipe import is_repository
from moss_speech.registry.tracking import git

_SHOWN = 5
"""Names that a finding lists at most."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `ends` if nothing can be made again because of it."""

    what: str
    differs: bool
    said: str
    ends: bool = False

    def __str__(self) -> str:
        return f"{'differs' if self.differs else 'ok':7} {self.what}: {self.said}"


def check_recipe(
    recipe: RecipeFacts, stages: list[LockedStage], bundle: Path, root: Path
) -> list[Finding]:
    """Commit, edits, params, bundle and packages of a version; `stages` are those of its lock."""
    return [
        _commit(recipe, root),
        _edits(recipe),
        _params(recipe, stages),
        _bundle(stages[-1], bundle),
        _packages(recipe),
    ]


def check_worktree(stages: list[LockedStage], folder: Path) -> list[Finding]:
    """Whether the code of a worktree is what made each stage's output."""
    wrong = {
        path: stage.name
        for stage in reversed(stages)
        for path, md5 in stage.code.items()
        if path_md5(folder / path) != md5
    }
    if not wrong:
        return [Finding("code", False, f"the commit holds what made all {len(stages)} stages")]
    said = f"the commit holds other code than what made the version: {_few(wrong)}"
    return [Finding("code", True, said)]


def _few(names: object) -> str:
    found = sorted(map(str, names)) if isinstance(names, dict | list | set) else []
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _commit(recipe: RecipeFacts, root: Path) -> Finding:
    if not recipe.commit:
        return Finding("commit", True, "none: it was made outside a git repository", ends=True)
    if not is_repository(root):
        return Finding("commit", True, f"{root} is no git repository of its own", ends=True)
    if git(root, "cat-file", "-t", recipe.commit) != "commit":
        said = f"{recipe.commit} is not in {root}: `git fetch` the branch that has it"
        return Finding("commit", True, said, ends=True)
    return Finding("commit", False, recipe.commit)


def _edits(recipe: RecipeFacts) -> Finding:
    """Told only: whether edits decided anything shows when the code is compared."""
    if recipe.edited:
        said = f"not committed when it was registered: {_few(recipe.edited)}"
        return Finding("edits", False, said)
    return Finding("edits", False, "none when it was registered")


def _params(recipe: RecipeFacts, stages: list[LockedStage]) -> Finding:
    try:
        values = yaml.safe_load(recipe.params)
    except yaml.YAMLError as error:
        return Finding("params", True, f"the recorded params are no YAML: {error}", ends=True)
    values = values if isinstance(values, dict) else {}
    wrong = {
        f"{stage.name}.{section}" if section != stage.name else section
        for stage in stages
        for section, value in stage.params.items()
        if values.get(section) != value
    }
    if wrong:
        return Finding("params", True, f"edited after the stages ran: {_few(wrong)}")
    return Finding("params", False, "those that the stages ran with")


def _bundle(stage: LockedStage, bundle: Path) -> Finding:
    """The registered files against what the last stage made, by DVC's name of a folder."""
    (path, recorded), *_ = stage.outs.items()
    if (found := path_md5(bundle)) == recorded:
        return Finding("registered bundle", False, f"what stage {stage.name} made")
    said = f"{found[:12]} was not made by this pipeline, whose {path} is {recorded[:12]}"
    return Finding("registered bundle", True, said)


def _packages(recipe: RecipeFacts) -> Finding:
    """Told, but no obstacle by itself: most packages decide no number."""
    changed = [
        f"{name} {was} is {now or 'not installed'} now"
        for name, was in recipe.packages.items()
        if (now := _installed(name)) != was
    ]
    return Finding("packages", False, f"changed: {_few(changed)}" if changed else "the same")


def _installed(name: str) -> str:
    if name == "python":
        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
