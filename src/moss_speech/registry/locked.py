"""What a dvc.lock says of each stage, compared with files and params without running anything."""

import hashlib
import json
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

_BLOCK = 1 << 20


def file_md5(path: Path) -> str:
    """MD5 of a file, as DVC names it."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def path_md5(path: Path) -> str:
    """DVC's name of a file or folder; empty if there is none. Byte code is no content."""
    if path.is_file():
        return file_md5(path)
    if not path.is_dir():
        return ""
    files = (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    rows = [{"md5": file_md5(p), "relpath": p.relative_to(path).as_posix()} for p in files]
    rows.sort(key=lambda row: row["relpath"])
    text = json.dumps(rows, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


@dataclass(frozen=True)
class LockedStage:
    """One stage: what it read and made, by path with DVC's name, and its params."""

    name: str
    deps: dict[str, str]
    outs: dict[str, str]
    params: dict[str, Any]

    @property
    def code(self) -> dict[str, str]:
        """Dependencies that are code."""
        return {path: md5 for path, md5 in self.deps.items() if path.startswith("src/")}


def read_lock(text: str, where: str) -> list[LockedStage]:
    """Stages of a dvc.lock, parents first; `ValueError` if it is none."""
    try:
        stages = yaml.safe_load(text)["stages"]
        found = {name: _stage(name, entry) for name, entry in stages.items()}
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{where} is no dvc.lock: {type(error).__name__} {error}") from None
    makers = {path: stage.name for stage in found.values() for path in stage.outs}
    parents = {
        stage.name: {makers[path] for path in stage.deps if path in makers}
        for stage in found.values()
    }
    try:
        return [found[name] for name in TopologicalSorter(parents).static_order()]
    except CycleError as error:
        raise ValueError(f"{where} has stages that need each other: {error.args[1]}") from None


def _stage(name: str, entry: dict[str, Any]) -> LockedStage:
    deps, outs = ({row["path"]: row["md5"] for row in entry.get(k, [])} for k in ("deps", "outs"))
    params = {
        key: value
        for sections in entry.get("params", {}).values()
        for key, value in sections.items()
    }
    return LockedStage(name, deps, outs, params)


def stages_to(stages: list[LockedStage], output: str, where: str) -> list[LockedStage]:
    """The stages that an output needs, parents first; `ValueError` if none makes it."""
    wanted, needed = {output}, []
    for stage in reversed(stages):
        if wanted & stage.outs.keys():
            needed.append(stage)
            wanted |= stage.deps.keys()
    if not needed:
        raise ValueError(f"{where} has no stage that makes {output}")
    return needed[::-1]
