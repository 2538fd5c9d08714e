"""The way back from a backup: checked, staged beside what is there, then put in place by renames.

Until the renames begin nothing of the root has changed. They are written down first, so that those
of a process that was killed are undone by `recover`, which every backup and restore calls.
"""

import shutil
from pathlib import Path

from moss_speech.catalogue.copies import (
    holds_tables,
    kind_of,
    move_artifacts,
    put_back,
)
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
    holds something unless `replace` is set.
    """
    chosen = settings()
    with exclusive(chosen.state / "train.lock", f"the workspace {chosen.root}"):
        recover(chosen)
        manifest = verify_backup(source)
        _require_fit(manifest, chosen)
        if not replace and (there := _held(chosen)):
            raise ValueError(f"{there} holds something: restore into an empty root, or --replace")
        stage = chosen.state / _STAGE
        shutil.copytree(source, stage)
        if (stage / MLFLOW).is_file() and manifest.mlflow == "sqlite":
            move_artifacts(stage / MLFLOW, manifest.artifacts, _address(chosen))
        for name, url in _servers(chosen).items():
            put_back(stage / name, url)
        _swap(stage, chosen)
    return manifest


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


def _held(chosen: Settings) -> str:
    """What the root holds already; empty if nothing."""
    targets = places(chosen)
    for path in (targets[name] for name in _STORES if name in targets):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            return str(path)
    return next((name for name, url in _servers(chosen).items() if holds_tables(url)), "")


def _swap(stage: Path, chosen: Settings) -> None:
    """Rename everything into place; what was there goes once all of it is in place."""
    old = chosen.state / _OLD
    old.mkdir()
    moves = _moves(stage, old, chosen)
    rows = [
        {"new": str(new), "target": str(target), "kept": str(kept), "brings": new.exists()}
        for new, target, kept in moves
    ]
    write_json(chosen.state / _JOURNAL, rows)
    try:
        for new, target, kept in moves:
            if target.exists():
                target.rename(kept)
            if new.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                new.rename(target)
    except BaseException:
        recover(chosen)
        raise
    (chosen.state / _JOURNAL).unlink()  # from here on it is done
    recover(chosen)


def _moves(stage: Path, old: Path, chosen: Settings) -> list[tuple[Path, Path, Path]]:
    """New place, target, and where the target's old content goes meanwhile."""
    found = []
    for name, target in places(chosen).items():
        new = stage / name
        if new.exists() or name in _STORES:
            kept = name.replace("/", "-")
            found.append((new, target, old / kept))
            if name in (CATALOGUE, MLFLOW):
                logs = [target.with_name(target.name + end) for end in _LOGS]
                found += [(stage / log.name, log, old / log.name) for log in logs]
    return found


def recover(chosen: Settings) -> bool:
    """Undo the renames of a restore that was killed, sweep what it left; whether there were any."""
    journal = chosen.state / _JOURNAL
    interrupted = journal.is_file()
    for row in reversed(read_json(journal)) if interrupted else ():
        new, target, kept = (Path(row[name]) for name in ("new", "target", "kept"))
        if row["brings"] and not new.exists():
            target.rename(new)
        if kept.exists():
            kept.rename(target)
    journal.unlink(missing_ok=True)
    for name in (_STAGE, _OLD):
        shutil.rmtree(chosen.state / name, ignore_errors=True)
    return interrupted
