"""Registry addresses of models: what one leads to now."""

import re
from dataclasses import dataclass
from pathlib import Path

from moss_speech.catalogue.database import catalogue
from moss_speech.catalogue.models import find_version
from moss_speech.registry.promotion import verified_champion
from moss_speech.registry.store import MODEL
from moss_speech.registry.versions import CHAMPION, bundle_of, version_with

_ADDRESS = re.compile(r"^models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))$")


@dataclass(frozen=True)
class FoundModel:
    """A bundle folder; version and digest are None for a plain folder."""

    folder: Path
    version: int | None = None
    digest: str | None = None


def find_registered(address: str) -> FoundModel | None:
    """The version that a registry address leads to; None for what is no such address.

    The champion is only ever a version with a committed promotion. The bundle is compared with the
    digest it was registered with; `ValueError` says what is missing or damaged.
    """
    if (match := _ADDRESS.match(address)) is None:
        return None
    number = _version(match["name"], match["alias"], match["version"])
    with catalogue() as session:
        version = find_version(session, number)
    return FoundModel(bundle_of(version), version.version, version.digest)


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
