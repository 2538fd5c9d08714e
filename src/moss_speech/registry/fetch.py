"""From a model's address to its bundle: a registered version, a folder, or a release made one."""

from pathlib import Path

from moss_speech.card import CARD
from moss_speech.registry.addresses import FoundModel, find_registered
from moss_speech.registry.store import MODEL
from moss_speech.registry.versions import CHAMPION
from moss_speech.settings import settings


def find_model(address: str) -> FoundModel:
    """Locate `models:/moss-speech@ALIAS`, `models:/moss-speech/VERSION` or a folder.

    See `find_registered` for the first two; `ValueError` says what is missing or damaged.
    A released language model becomes a bundle with the codec that the settings name.
    """
    if (found := find_registered(address)) is not None:
        return found
    if (folder := Path(address)).is_dir():
        return FoundModel(_bundle(folder))
    raise ValueError(
        f"model is {address!r}, must be models:/{MODEL}@{CHAMPION}, models:/{MODEL}/VERSION, "
        "a bundle folder or the folder of a released language model"
    )


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
