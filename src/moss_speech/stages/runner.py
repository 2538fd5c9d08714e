"""What every stage shares: its inputs and output as dvc.yaml names them, run folder, tracker."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moss_speech.params.base import read_yaml
from moss_speech.records import Tracker
from moss_speech.storage import file_digest, tree_digest


@dataclass(frozen=True)
class Declaration:
    """A stage as dvc.yaml declares it."""

    name: str
    inputs: dict[str, Path]
    """Dependencies that are not code, by the last part of their path."""
    code: tuple[Path, ...]
    output: Path
    sections: tuple[str, ...]
    """Sections of params.yaml that the stage reads, its own first."""


@dataclass(frozen=True)
class StageIO:
    """What a stage reads and writes."""

    inputs: dict[str, Path]
    output: Path
    run_folder: Path
    """For resuming: equal inputs, params and code give the same folder."""
    tracker: Tracker
    seed: int


def _paths(entries: list[Any]) -> list[Path]:
    return [Path(next(iter(e)) if isinstance(e, dict) else e) for e in entries]


def declaration(root: Path, name: str) -> Declaration:
    """Read one stage from dvc.yaml; `ValueError` for a name it does not have."""
    stages = read_yaml(root / "dvc.yaml")["stages"]
    if name not in stages:
        raise ValueError(f"no stage {name!r}; dvc.yaml has {', '.join(stages)}")
    stage = stages[name]
    deps = _paths(stage.get("deps", []))
    return Declaration(
        name=name,
        inputs={p.name: root / p for p in deps if p.parts[0] != "src"},
        code=tuple(root / p for p in deps if p.parts[0] == "src"),
        output=root / _paths(stage["outs"])[0],
        sections=tuple(stage["params"]),
    )


def _code_digest(path: Path) -> str:
    """Digest of one file, or of a package without the byte code that running it leaves there."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    kept = [p for p in files if p.is_file() and "__pycache__" not in p.parts]
    lines = [f"{p.relative_to(path.parent)} {file_digest(p)}" for p in kept]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def input_digests(stage: Declaration) -> dict[str, str]:
    """Digest of each input; `ValueError` names one that is missing."""
    for path in stage.inputs.values():
        if not path.exists():
            raise ValueError(f"input {path} is missing; `dvc repro {stage.name}` makes it first")
    return {
        name: tree_digest(path) if path.is_dir() else file_digest(path)
        for name, path in sorted(stage.inputs.items())
    }


def fingerprint(stage: Declaration, params: dict[str, Any], inputs: dict[str, str]) -> str:
    """Hash of a stage's params, input digests and code: two equal ones may share checkpoints."""
    content = {
        "params": {section: params[section] for section in stage.sections},
        "inputs": inputs,
        "code": [_code_digest(path) for path in stage.code],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def threads_of(params: dict[str, Any], name: str) -> int:
    """Threads of a stage, wanted before its strict class can be imported."""
    if name not in params:
        raise ValueError(f"params.yaml has no section {name!r}; it has {', '.join(params)}")
    threads = params[name].get("threads") if isinstance(params[name], dict) else None
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"params.yaml: {name}.threads is {threads!r}, must be at least 1")
    return threads


def use_threads(threads: int) -> None:
    """Bound every library's thread pool; must run before they are imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
