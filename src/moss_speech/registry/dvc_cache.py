"""DVC's cache: where it lies."""

import subprocess
import sys
from pathlib import Path

from moss_speech.settings import child_environment

CACHE = ".dvc/cache"
"""Where it lies below the root, if DVC's configuration does not say otherwise."""


def cache_folder(root: Path) -> Path:
    """Where DVC keeps its files for a project root; `ValueError` if it does not say."""
    if not (root / ".dvc").is_dir():
        return (root / CACHE).resolve()
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    asked = subprocess.run(
        command, cwd=root, env=child_environment(), capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise ValueError(f"DVC does not say where its cache is: {asked.stderr.strip()}")
    return (root / asked.stdout.strip().splitlines()[-1]).resolve()


def cache_below(root: Path) -> str:
    """The cache's place relative to the root; empty if it is outside, where others use it too."""
    folder, top = cache_folder(root), root.resolve()
    return folder.relative_to(top).as_posix() if top in folder.parents else ""
