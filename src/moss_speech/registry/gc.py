"""What no kept version needs: bundles in MLflow's folder, Bentos, DVC's cache, checkpoints."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moss_speech.catalogue.database import catalogue, promotion_lock
from moss_speech.catalogue.models import all_versions
from moss_speech.params.base import read_yaml
from moss_speech.registry.dvc_cache import cache_below, dvc_at_rest, outputs
from moss_speech.registry.keeping import kept_versions
from moss_speech.registry.versions import local_bundle
from moss_speech.settings import settings
from moss_speech.storage import exclusive, read_json

_FINGERPRINT_CHARS = 16


@dataclass(frozen=True)
class Waste:
    """A file or folder that may go, and why."""

    kind: str
    path: Path
    why: str
    size_bytes: int
    """Of its files that have no other name; the others free nothing yet."""


def find_waste() -> list[Waste]:
    """Everything that may go; deletes nothing."""
    kept, root, state = kept_versions(), settings().root, settings().state
    with catalogue() as session:
        versions = all_versions(session)
    stay = {row.digest for row in versions if row.version in kept}
    found: list[Waste] = []
    for row in versions:
        for folder in (local_bundle(row), state / "models" / row.digest):
            if row.version not in kept and folder is not None and folder.is_dir():
                found.append(_waste("bundle", folder, f"version {row.version} is not kept"))
    found += _old_bentos(state / "bentoml" / "bentos", stay)
    found += _unused_cache(root)
    found += _finished_runs(root / "runs")
    return found


def collect() -> list[Waste]:
    """Delete what `find_waste` finds; `InUseError` if somebody trains, promotes or uses DVC."""
    chosen = settings()
    with (
        exclusive(chosen.state / "train.lock", f"the workspace {chosen.root}"),
        exclusive(chosen.state / "reproduce.lock", "moss-speech reproduce"),
        promotion_lock(),
        dvc_at_rest(chosen.root),
    ):
        found = find_waste()
        for waste in found:
            if waste.path.is_dir():
                shutil.rmtree(waste.path)
            else:
                waste.path.unlink()
    return found


def _waste(kind: str, path: Path, why: str) -> Waste:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    sizes = (p.stat() for p in files)
    return Waste(kind, path, why, sum(s.st_size for s in sizes if s.st_nlink == 1))


def _old_bentos(folder: Path, stay: set[str]) -> Iterator[Waste]:
    """All but the newest of each name and those that hold a kept version, or a plain folder."""
    for name in sorted(p for p in folder.glob("*") if p.is_dir()):
        bentos = sorted(name.glob("*/bento.yaml"), key=lambda p: p.stat().st_mtime)
        for path in bentos[:-1]:
            labels = read_yaml(path).get("labels") or {}
            digest, version = labels.get("model_digest", ""), labels.get("model_version", "local")
            if version != "local" and not any(kept.startswith(digest) for kept in stay):
                yield _waste("Bento", path.parent, f"its version {version} is not kept")


def _unused_cache(root: Path) -> Iterator[Waste]:
    """Files of DVC's cache that neither dvc.lock nor a *.dvc leads to.

    Nothing is judged without a lock, nor in a cache outside the root: others may need it.
    """
    if not (root / "dvc.lock").is_file() or not (place := cache_below(root)):
        return
    files, used = root / place / "files" / "md5", set[str]()
    for digest in (out["md5"] for out in outputs(root) if "md5" in out):
        used |= {digest} | _listed(files, digest)
    for path in sorted(files.glob("*/*")):
        if path.parent.name + path.name not in used:
            yield _waste("DVC cache", path, "no dvc.lock or *.dvc leads to it")


def _listed(files: Path, digest: str) -> set[str]:
    """Digests of the files of a folder that DVC keeps."""
    path = files / digest[:2] / digest[2:]
    if not digest.endswith(".dir") or not path.is_file():
        return set()
    return {entry["md5"] for entry in read_json(path)}


def _finished_runs(runs: Path) -> Iterator[Waste]:
    """Checkpoints of stages whose last run ended well, made before it ended."""
    for usage in sorted(runs.glob("*/usage.json")):
        if (usage.parent / "error.txt").exists():
            continue
        ended_s = read_json(usage)["ended_s"]
        for folder in sorted(p for p in usage.parent.iterdir() if p.is_dir()):
            is_mark = len(folder.name) == _FINGERPRINT_CHARS
            if is_mark and folder.stat().st_mtime <= ended_s:
                yield _waste("checkpoints", folder, f"stage {usage.parent.name} is finished")
