"""What a version is made from, noted when it is registered: code, params, data, packages."""

import platform
from importlib.metadata import distributions
from pathlib import Path

from moss_speech.catalogue.recipes import RecipeFacts
from moss_speech.registry.tracking import git

CODE = ("src", "dvc.yaml")
"""What decides a result besides params and data; both have a place of their own in a recipe."""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def is_repository(root: Path) -> bool:
    """Whether a project root is a git repository of its own, not a folder of another one."""
    top = git(root, "rev-parse", "--show-toplevel")
    return bool(top) and Path(top).resolve() == root.resolve()


def recipe_of_root(root: Path) -> RecipeFacts:
    """The recipe of what the pipeline of a project root has made."""
    own = is_repository(root)
    status = git(root, "status", "--porcelain", "-uall", "--no-renames", "--", *CODE) if own else ""
    packages = {d.metadata["Name"].lower(): d.version for d in distributions()}
    return RecipeFacts(
        commit=git(root, "rev-parse", "HEAD") if own else "",
        edited=[line.split(maxsplit=1)[1] for line in status.splitlines()],
        params=_text(root / "params.yaml"),
        lock=_text(root / "dvc.lock"),
        packages={"python": platform.python_version(), **dict(sorted(packages.items()))},
    )
