"""Bundles of older formats, made new: into another folder, step by step, never in place.

A change of the format raises `card.FORMAT_VERSION` and adds its step here. Format 1 is the first.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from moss_speech.bundle import Bundle
from moss_speech.card import CARD, FORMAT_VERSION, Sealed, files_of, format_of, seal, verify_files
from moss_speech.storage import fresh_dir, link_or_copy, read_json, require_new, write_json

Step = Callable[[Path, dict[str, Any]], dict[str, Any]]
"""Brings the files of a folder to the next format and returns what its card says but for `files`.

The files share their content with the old bundle: a step replaces a file, and writes into none.
"""

STEPS: dict[int, Step] = {}
"""By the format that they start from."""


def upgrade_bundle(source: Path, out: Path, steps: Mapping[int, Step] = STEPS) -> int:
    """Write a bundle of the present format; returns the format that `source` has.

    Raises `ValueError` if the source is no older bundle, is damaged or cannot be upgraded, or if
    `out` holds something. Nothing is written then.
    """
    require_new(out)
    version = format_of(source)
    if version >= FORMAT_VERSION:
        newer = "of today" if version == FORMAT_VERSION else "newer than this program"
        raise ValueError(f"{source} has format {version}, which is {newer}: nothing to upgrade")
    for format_ in range(version, FORMAT_VERSION):
        if format_ not in steps:
            raise ValueError(f"{source} has format {version}: no step leads from {format_} on")
    card = read_json(source / CARD)
    verify_files(source, _seals(card, source))
    with fresh_dir(out) as folder:
        for name, path in files_of(source).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, folder / name)
        for format_ in range(version, FORMAT_VERSION):
            card = {**steps[format_](folder, card), "format_version": format_ + 1}
        files = {name: sealed.model_dump() for name, sealed in seal(folder).items()}
        write_json(folder / CARD, {**card, "files": files})
        Bundle.open(folder)
    return version


def _seals(card: dict[str, Any], source: Path) -> dict[str, Sealed]:
    try:
        return TypeAdapter(dict[str, Sealed]).validate_python(card.get("files"))
    except ValidationError as error:
        raise ValueError(
            f"{source / CARD} does not seal its files ({error.error_count()} wrong entries)"
        ) from None
