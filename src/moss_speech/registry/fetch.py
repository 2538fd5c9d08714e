"""From a model's address to its bundle: a registered version, a folder, or a release made one."""

import re
from dataclasses import dataclass
from pathlib import Path

from moss_speech.card import CARD
from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version
from moss_speech.registry.promotion import verified_champion
from moss_speech.registry.store import MODEL
from moss_speech.registry.versions import CHAMPION, bundle_of, version_with
from moss_speech.settings import settings

_ADDRESS = re.compile(r"^models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))$")


@dataclass(frozen=True)
class FoundModel:
    """A bundle folder; version and digest are None for a plain folder."""

    folder: Path
    version: int | None = None
    digest: str | None = None


def _version(name: str, alias: str | None, version: str | None) -> int:
    if name != MODEL:
        raise ValueError(f"model is {name!r}, the registry has only {MODEL!r}")
    if version is not None:
        return int(version)
    if alias == CHAMPION:
        approved = verified_champion()
        found = approved.version if approved else None
    else:
        found = version_with(str(alias))
    if found is None:
        raise ValueError(f"{MODEL} has no {alias} yet: `make train` trains and promotes one")
    return found


def find_model(address: str) -> FoundModel:
    """Locate `models:/moss-speech@ALIAS`, `models:/moss-speech/VERSION` or a folder.

    The champion is only ever a version with a committed promotion. A registered bundle is
    compared with the digest it was registered with; `ValueError` says what is missing or damaged.
    A released language model becomes a bundle with the codec that the settings name.
    """
    if (match := _ADDRESS.match(address)) is None:
        if (folder := Path(address)).is_dir():
            return FoundModel(_bundle(folder))
        raise ValueError(
            f"model is {address!r}, must be models:/{MODEL}@{CHAMPION}, models:/{MODEL}/VERSION, "
            "a bundle folder or the folder of a released language model"
        )
    number = _version(match["name"], match["alias"], match["version"])
    with catalogue() as session:
        version = find_version(session, number)
    return FoundModel(bundle_of(version), version.version, version.digest)


def _bundle(folder: Path) -> Path:
    if (folder / CARD).is_file():
        return folder
    from moss_speech.inference.released import Release, is_released_lm, released_bundle

    if not is_released_lm(folder):
        return folder
    if (codec := settings().codec) is None:
        raise ValueError(
            f"{folder} is a language model alone, which neither hears nor speaks: "
            "set MOSS_CODEC to the folder of the released codec"
        )
    release = Release(folder.absolute(), codec.absolute(), settings().accept_unlicensed)
    return released_bundle(release, settings().state / "models" / "released")


def fetch_model(address: str) -> Path:
    """The bundle folder at an address; see `find_model`."""
    return find_model(address).folder
