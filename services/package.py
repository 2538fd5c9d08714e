"""`moss-speech package [OUT]`: the service and the model that it serves here, as one Bento.

`bentoml build` packs the code; what it cannot know, the model, is put beside it. Files are stored
once where the file system can link them.
"""

import sys
from pathlib import Path

import bentoml

from moss_speech.card import CARD, Card, verify_bundle
from moss_speech.inference.voices import store
from moss_speech.registry.addresses import FoundModel
from moss_speech.registry.fetch import find_model
from moss_speech.settings import settings
from moss_speech.storage import file_digest, link_or_copy, require_new, write_json
from services.packed import IDENTITY, PACKED
from services.startup import REFUSED

_LABEL_LENGTH = 63


def package(out: Path | None = None) -> bentoml.Bento:
    """Verify the model, build a Bento with it and the added voices, give it to a new folder.

    Raises what `find_model` raises, and `ValueError` for an `out` that holds something.
    """
    if out is not None:
        require_new(out)
    found = find_model(settings().model)
    card = verify_bundle(found.folder)
    bento = bentoml.bentos.build_bentofile(
        build_ctx=str(settings().root), labels=_labels(found, card)
    )
    source = Path(bento.path_of("src"))
    _take(found.folder, source / PACKED.name)
    _take(store(), source / store().name)
    write_json(source / IDENTITY, {"version": found.version, "digest": found.digest})
    # what a Bento that was served keeps: the key that signs, the catalogue
    (Path(bento.path) / ".dockerignore").write_text("src/.moss\n")
    if out is not None:
        _take(Path(bento.path), out)
    return bento


def _take(folder: Path, target: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, place)


def _labels(found: FoundModel, card: Card) -> dict[str, str]:
    """Which model is inside, for `bentoml list` and `bentoml get`."""
    digest = found.digest or file_digest(found.folder / CARD)
    labels = {
        "model": card.about.name,
        "model_version": "local" if found.version is None else str(found.version),
        "model_digest": digest[:12],
        "model_licence": card.about.licence,
    }
    return {name: value[:_LABEL_LENGTH] for name, value in labels.items()}


if __name__ == "__main__":
    try:
        print(package(*map(Path, sys.argv[1:])).tag)
    except (*REFUSED, bentoml.exceptions.BentoMLException) as error:
        sys.exit(f"nothing was packed: {error}")
