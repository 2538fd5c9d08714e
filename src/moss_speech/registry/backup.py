"""A backup: stores, artifacts, DVC's cache and settings in one folder, each file with its digest.

    backup.json  catalogue.db mlflow.db  artifacts/ cache/ voices/  project/

The folder holds secrets (.env, the signing key) and is readable by its owner only. The catalogue
is copied before MLflow's store, and both before the files that they name: what is added meanwhile
makes the later copy larger, and never leaves a name without its file.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from moss_speech.card import Sealed
from moss_speech.catalogue.copies import Kind, check_copy, copy_database, kind_of, sqlite_file
from moss_speech.catalogue.database import open_catalogue, promotion_lock
from moss_speech.params.base import Params, validate_section
from moss_speech.registry.dvc_cache import CACHE, cache_below
from moss_speech.registry.store import ARTIFACTS, tracking_client
from moss_speech.settings import Settings, settings
from moss_speech.storage import file_digest, fresh_dir, read_json, require_new, write_json

MANIFEST = "backup.json"
CATALOGUE, MLFLOW = "catalogue.db", "mlflow.db"
PROJECT_FILES = (".env", "params.yaml", "dvc.lock", "withdrawn.jsonl", ".dvc/config.local")


class Manifest(Params):
    """The content of backup.json."""

    format_version: int
    made_at: str
    catalogue: Kind
    mlflow: Kind
    artifacts: str
    """Address of the artifact folder that MLflow's store names."""
    cache: str = CACHE
    """Where DVC's cache lies below the root; empty: outside it, and not in the backup."""
    files: dict[str, Sealed]


def places(chosen: Settings, cache: str) -> dict[str, Path]:
    """Where each folder or file of a backup belongs; databases that are no files are left out.

    `cache` is `Manifest.cache`.
    """
    root, state = chosen.root, chosen.state
    found = {
        ARTIFACTS: state / ARTIFACTS,
        "voices": root / "voices",
        "project/signing.key": state / "signing.key",
        **{f"project/{name}": root / name for name in PROJECT_FILES},
    }
    if cache:
        found["cache"] = root / cache
    for name, url in ((CATALOGUE, chosen.catalogue_url), (MLFLOW, chosen.tracking_uri)):
        if kind_of(url) == "sqlite":
            found[name] = sqlite_file(url)
    return found


def backup(target: Path) -> Manifest:
    """Write a backup into a new folder, whole or not at all.

    `ValueError` for a folder that holds something; `InUseError` while somebody promotes.
    """
    require_new(target)
    chosen = settings()
    open_catalogue(chosen.catalogue_url)
    tracking_client()
    urls = {CATALOGUE: chosen.catalogue_url, MLFLOW: chosen.tracking_uri}
    cache = cache_below(chosen.root)
    with fresh_dir(target) as out:
        out.chmod(0o700)
        with promotion_lock():
            for name, url in urls.items():
                if kind_of(url) != "elsewhere":
                    copy_database(url, out / name)
                    check_copy(out / name, kind_of(url))
        for name, place in places(chosen, cache).items():
            if name not in urls and place.exists():
                _copy(place, out / name)
        manifest = Manifest(
            format_version=1,
            made_at=f"{datetime.now(UTC):%FT%TZ}",
            catalogue=kind_of(chosen.catalogue_url),
            mlflow=kind_of(chosen.tracking_uri),
            artifacts=(chosen.state / ARTIFACTS).resolve().as_uri(),
            cache=cache,
            files=_sealed(out),
        )
        write_json(out / MANIFEST, manifest.model_dump())
    return manifest


def _copy(place: Path, target: Path) -> None:
    """Copies, not links: what damages the original must not reach the backup."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        shutil.copytree(place, target, ignore=shutil.ignore_patterns(".partial-*", "tmp"))
    else:
        shutil.copy2(place, target)


def _sealed(folder: Path) -> dict[str, Sealed]:
    return {
        path.relative_to(folder).as_posix(): Sealed(
            bytes=path.stat().st_size, sha256=file_digest(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def verify_backup(folder: Path) -> Manifest:
    """Check every file of a backup; `ValueError` names the first that is not as it was written."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"{folder} is no backup: {MANIFEST} is missing")
    manifest = validate_section(read_json(path), Manifest, str(path))
    if manifest.format_version != 1:
        raise ValueError(f"{path}: format_version is {manifest.format_version}, must be 1")
    found = {
        p.relative_to(folder).as_posix(): p
        for p in folder.rglob("*")
        if p.is_symlink() or not p.is_dir()
    }
    if links := sorted(name for name, p in found.items() if p.is_symlink()):
        raise ValueError(f"{folder} is damaged: {links[0]} is a link, must be a file of its own")
    if missing := sorted(manifest.files.keys() - found.keys()):
        raise ValueError(f"{folder} is damaged: {missing[0]} is missing")
    if extra := sorted(found.keys() - manifest.files.keys() - {MANIFEST}):
        raise ValueError(f"{folder} is damaged: {extra[0]} does not belong to it")
    for name, sealed in manifest.files.items():
        if found[name].stat().st_size != sealed.bytes or file_digest(found[name]) != sealed.sha256:
            raise ValueError(f"{folder} is damaged: {name} is not what was written")
    return manifest
