"""The model that training goes on from: brought into models/start, and noticed when it changes."""

from pathlib import Path

from moss_speech.card import CARD, files_of, read_card, verify_bundle
from moss_speech.params.base import load_section
from moss_speech.params.start import StartParams
from moss_speech.registry.addresses import FoundModel, find_registered
from moss_speech.settings import settings
from moss_speech.storage import link_or_copy, tree_digest

STAGE = "start"
"""The stage that brings it, and the name of its folder among models/."""
NOTHING = "nothing.txt"
"""In the folder of a start from nothing: a folder of results is never empty."""


def find_start(address: str) -> FoundModel:
    """The bundle at a registry address or in a folder, which may be relative to the project root.

    `ValueError` for an address that leads nowhere.
    """
    if (found := find_registered(address)) is not None:
        return found
    if address.startswith("models:"):
        raise ValueError(
            f"start.model is {address!r}, must be models:/NAME@ALIAS, models:/NAME/VERSION "
            "or a bundle folder"
        )
    folder = settings().root / address
    return FoundModel(folder, digest=tree_digest(folder))


def bring_start(address: str | None, out: Path) -> None:
    """Fill the folder `out` with the files of the model at an address; with a note for none."""
    if address is None:
        (out / NOTHING).write_text("start.model is null: training starts from nothing\n")
        return
    source = find_start(address).folder
    verify_bundle(source)
    for name, path in {CARD: source / CARD, **files_of(source)}.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(path, out / name)


def has_moved(root: Path) -> bool:
    """Whether the address in params.yaml leads to another model than the one in models/start.

    A champion that was made from the model there has not moved it: else a run whose result is
    promoted would make its own stages stale, and training would never be done.
    """
    address = load_section(root / "params.yaml", STAGE, StartParams).model
    folder = root / "models" / STAGE
    if address is None or not folder.is_dir():
        return False  # DVC sees both for itself
    here, found = tree_digest(folder), find_start(address)
    if here == found.digest:
        return False
    return not _was_made_from(found.folder, here)


def _was_made_from(bundle: Path, digest: str) -> bool:
    return (bundle / CARD).is_file() and read_card(bundle).about.parents.get(STAGE) == digest
