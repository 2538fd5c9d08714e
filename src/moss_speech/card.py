"""card.json: what a bundle is, and the seal of every file in it; needs no model libraries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from moss_speech.params.base import Params
from moss_speech.params.bundle import Generation
from moss_speech.storage import file_digest, read_json

CARD = "card.json"
FORMAT_VERSION: Literal[1] = 1
"""Of the bundles that are written and opened; `moss_speech.upgrades` brings older ones to it."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Endings of files that may hold programs."""


class Sealed(Params):
    """What a file must be."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class About(Params):
    """What a bundle is; its inputs determine it, so it holds no times and no metrics."""

    name: str
    licence: str
    normalise_text: bool
    """Typed turns are brought to spoken form first, as in the corpus it learnt from."""
    generation: Generation
    parents: dict[str, str]
    """Digest of each data and model folder it was made from."""
    params: dict[str, Any]
    """Sections of params.yaml that made it."""
    sources: Any
    """Licence, consent and counts of each source of the corpus."""

    @property
    def unlicensed(self) -> str | None:
        """The folder or address of weights without a licence that it was made from, if any."""
        source = self.params.get("init_backbone", {}).get("source", {})
        return source.get("folder", "its start") if source.get("accept_unlicensed") else None


class Card(Params):
    """The content of card.json."""

    format_version: Literal[1]
    about: About
    voices: list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]]
    files: dict[str, Sealed]


def files_of(folder: Path) -> dict[str, Path]:
    """Every file of a bundle but the card, by its name relative to the folder."""
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if not p.is_dir()}
    return {name: paths[name] for name in sorted(paths) if name != CARD}


def format_of(folder: Path) -> int:
    """The format version of a bundle of any; `ValueError` if the folder is no bundle."""
    path = folder / CARD
    if not path.is_file():
        raise ValueError(f"{folder} is no bundle: {CARD} is missing")
    card = read_json(path)
    version = card.get("format_version") if isinstance(card, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise ValueError(
            f"{path} is no card of a bundle: format_version is {version!r}, must be a number"
        )
    return version


def _refuse_other_formats(folder: Path) -> None:
    if (version := format_of(folder)) > FORMAT_VERSION:
        raise ValueError(
            f"{folder} has format {version}, this program reads {FORMAT_VERSION}: "
            "it was made by a newer moss-speech, which is needed to open it"
        )
    if version < FORMAT_VERSION:
        raise ValueError(
            f"{folder} has format {version}, this program reads {FORMAT_VERSION}: "
            f"`moss-speech upgrade {folder} NEW_FOLDER` makes a bundle of today of it"
        )


def read_card(folder: Path) -> Card:
    """Read card.json; `ValueError` if the folder is no bundle of the present format."""
    _refuse_other_formats(folder)
    path = folder / CARD
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path} is no card of a bundle: {field}: {first['msg']}") from None


def _refuse_foreign_kinds(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ValueError(f"{folder} is damaged: {name} is a link, must be a file of its own")
        if path.suffix in PICKLES:
            raise ValueError(f"{folder} is damaged: {name} may be a pickle, which is never opened")


def seal(folder: Path) -> dict[str, Sealed]:
    """Size and digest of every file of a bundle but the card."""
    return {
        name: Sealed(bytes=path.stat().st_size, sha256=file_digest(path))
        for name, path in files_of(folder).items()
    }


def verify_bundle(folder: Path) -> Card:
    """Check every file against the card; `ValueError` names the first that is not as sealed.

    Links and files that may be pickles are refused even where the card names them.
    """
    card = read_card(folder)
    verify_files(folder, card.files)
    return card


def verify_files(folder: Path, files: Mapping[str, Sealed]) -> None:
    """Check the files of a folder against their seals, as `verify_bundle` does."""
    _refuse_foreign_kinds(folder)
    found = files_of(folder)
    for name, sealed in files.items():
        if name not in found:
            raise ValueError(f"{folder} is damaged: {name} is missing")
        if (size := found[name].stat().st_size) != sealed.bytes:
            raise ValueError(
                f"{folder} is damaged: {name} has {size} bytes, must have {sealed.bytes}"
            )
    if extra := sorted(found.keys() - files.keys()):
        raise ValueError(f"{folder} is damaged: {extra[0]} does not belong to it")
    for name, sealed in files.items():
        if (digest := file_digest(found[name])) != sealed.sha256:
            raise ValueError(
                f"{folder} is damaged: {name} has SHA-256 {digest[:12]}…, "
                f"must have {sealed.sha256[:12]}…"
            )
