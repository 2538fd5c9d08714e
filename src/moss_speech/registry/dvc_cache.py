"""DVC's cache: where it lies, what it must hold, and that nobody fills it meanwhile."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moss_speech.params.base import read_yaml
from moss_speech.settings import child_environment
from moss_speech.storage import InUseError, exclusive, read_json

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


def outputs(root: Path) -> Iterator[dict[str, Any]]:
    """What every dvc.lock and every *.dvc below a root says of its outputs."""
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if name == "dvc.lock":
                for stage in (read_yaml(path).get("stages") or {}).values():
                    yield from stage.get("outs") or ()
            elif name.endswith(".dvc"):
                yield from read_yaml(path).get("outs") or ()


@contextmanager
def dvc_at_rest(root: Path) -> Iterator[None]:
    """Keep DVC from beginning anything in a root; `InUseError` if it is at work.

    DVC lets go of its lock while a stage runs, and then names itself in .dvc/tmp/rwlock.
    """
    if not (root / ".dvc").is_dir():
        yield
        return
    with exclusive(root / ".dvc" / "tmp" / "lock", "DVC"):
        for at_work in _at_work(root / ".dvc" / "tmp" / "rwlock"):
            raise InUseError(f"DVC is at work: process {at_work['pid']}, {at_work['cmd']}")
        yield


def _at_work(rwlock: Path) -> Iterator[dict[str, Any]]:
    """Processes that read or write outputs now; those that were killed stay written down."""
    held = read_json(rwlock) if rwlock.is_file() else {}
    readers = (info for infos in held.get("read", {}).values() for info in infos)
    for info in (*held.get("write", {}).values(), *readers):
        if Path(f"/proc/{info['pid']}").exists():
            yield info
