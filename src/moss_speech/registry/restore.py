"""The way back from a backup: checked, staged beside what is there, then put in place by renames.

Until then nothing of the root has changed. PostgreSQL has no files to rename: its databases are
dumped beside what the renames put aside. All of it is written down first, so that what a process
did that was killed is undone by `recover`, which every backup and restore calls.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moss_speech.catalogue.copies import (
    copy_database,
    holds_tables,
    kind_of,
    move_artifacts,
    put_back,
)
from moss_speech.catalogue.database import promotion_lock
from moss_speech.registry.backup import CATALOGUE, MLFLOW, Manifest, places, verify_backup
from moss_speech.registry.store import ARTIFACTS
from moss_speech.settings import Settings, settings
from moss_speech.storage import exclusive, read_json, write_json

_STAGE, _OLD, _JOURNAL = ".restore-new", ".restore-old", ".restore.json"
_STORES = (CATALOGUE, MLFLOW, ARTIFACTS, "cache", "voices", "project/dvc.lock")
"""What makes a root one that holds something."""
_LOGS = ("-wal", "-shm")
"""What SQLite keeps beside a database; an old one must not be applied to the new file."""


def restore(source: Path, replace: bool = False) -> Manifest:
    """Put a backup into the project root that the settings name.

    `ValueError` for a damaged backup, for one of other kinds of databases, and for a root that
    holds something unless `replace` is set; `InUseError` while somebody trains or promotes.
    """
    chosen = settings()
    with _alone(chosen):
        _undo(chosen)
        manifest = verify_backup(source)
        _require_fit(manifest, chosen)
        if not replace and (there := _held(chosen, manifest.cache)):
            raise ValueError(f"{there} holds something: restore into an empty root, or --replace")
        stage = chosen.state / _STAGE
        shutil.copytree(source, stage)
        if (stage / MLFLOW).is_file() and manifest.mlflow == "sqlite":
            staged = f"sqlite:///{stage / MLFLOW}"
            move_artifacts(staged, manifest.artifacts, _address(chosen))
        _swap(stage, manifest, chosen)
    return manifest


@contextmanager
def _alone(chosen: Settings) -> Iterator[None]:
    """Nobody trains, promotes or restores meanwhile; `InUseError` if somebody does."""
    with (
        exclusive(chosen.state / "train.lock", f"the workspace {chosen.root}"),
        promotion_lock(wait_s=0),
    ):
        yield


def _address(chosen: Settings) -> str:
    return (chosen.state / ARTIFACTS).resolve().as_uri()


def _servers(chosen: Settings) -> dict[str, str]:
    """Databases that are no files, with their addresses."""
    urls = {CATALOGUE: chosen.catalogue_url, MLFLOW: chosen.tracking_uri}
    return {name: url for name, url in urls.items() if kind_of(url) == "postgresql"}


def _require_fit(manifest: Manifest, chosen: Settings) -> None:
    kinds = {"catalogue": chosen.catalogue_url, "mlflow": chosen.tracking_uri}
    for what, url in kinds.items():
        saved, here = getattr(manifest, what), kind_of(url)
        if saved != here:
            raise ValueError(f"the backup's {what} is {saved}, the settings name {here}")
    inside = (chosen.root / manifest.cache).resolve()
    if manifest.cache and chosen.root.resolve() not in inside.parents:
        raise ValueError(f"the backup's cache is {manifest.cache!r}, must lie below the root")


def _held(chosen: Settings, cache: str) -> str:
    """What the root holds already; empty if nothing."""
    targets = places(chosen, cache)
    for path in (targets[name] for name in _STORES if name in targets):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            return str(path)
    return next((name for name, url in _servers(chosen).items() if holds_tables(url)), "")


def _swap(stage: Path, manifest: Manifest, chosen: Settings) -> None:
    """Put everything into place; what was there goes once all of it is in place."""
    old, servers = chosen.state / _OLD, _servers(chosen)
    old.mkdir()
    for name, url in servers.items():
        copy_database(url, old / name)
    moves = _moves(stage, old, places(chosen, manifest.cache))
    rows = [
        {"new": str(new), "target": str(target), "kept": str(kept), "brings": new.exists()}
        for new, target, kept in moves
    ]
    write_json(chosen.state / _JOURNAL, {"databases": list(servers), "renames": rows})
    try:
        for name, url in servers.items():
            put_back(stage / name, url)
            if name == MLFLOW:
                move_artifacts(url, manifest.artifacts, _address(chosen))
        for new, target, kept in moves:
            if target.exists():
                target.rename(kept)
            if new.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                new.rename(target)
    except BaseException:
        _undo(chosen)
        raise
    (chosen.state / _JOURNAL).unlink()  # from here on it is done
    _undo(chosen)


def _moves(stage: Path, old: Path, targets: dict[str, Path]) -> list[tuple[Path, Path, Path]]:
    """New place, target, and where the target's old content goes meanwhile."""
    found = []
    for name, target in targets.items():
        new = stage / name
        if new.exists() or name in _STORES:
            kept = name.replace("/", "-")
            found.append((new, target, old / kept))
            if name in (CATALOGUE, MLFLOW):
                logs = [target.with_name(target.name + end) for end in _LOGS]
                found += [(stage / log.name, log, old / log.name) for log in logs]
    return found


def recover(chosen: Settings) -> bool:
    """Undo what a restore did that was killed; whether there was any. `InUseError` as `restore`."""
    if not (chosen.state / _JOURNAL).is_file():
        return False
    with _alone(chosen):
        return _undo(chosen)


def _undo(chosen: Settings) -> bool:
    """Undo what the journal names, if there is one, and sweep what was left; whether there was."""
    journal, old = chosen.state / _JOURNAL, chosen.state / _OLD
    if interrupted := journal.is_file():
        done = read_json(journal)
        for name in done["databases"]:
            put_back(old / name, _servers(chosen)[name])
        for row in reversed(done["renames"]):
            new, target, kept = (Path(row[name]) for name in ("new", "target", "kept"))
            if row["brings"] and not new.exists():
                target.rename(new)
            if kept.exists():
                kept.rename(target)
    journal.unlink(missing_ok=True)
    for name in (_STAGE, _OLD):
        shutil.rmtree(chosen.state / name, ignore_errors=True)
    return interrupted
