"""The model that travels inside a Bento, beside the code; the project root has none."""

from pathlib import Path

from moss_speech.registry.addresses import FoundModel
from moss_speech.settings import Settings, settings
from moss_speech.storage import read_json

PACKED = Path(__file__).parents[1] / "packed"
"""A bundle, in a Bento that `moss-speech package` made."""
IDENTITY = "packed.json"
"""Beside it: the version and the digest that it has in the registry it was packed from."""


def served_settings() -> Settings:
    """The settings of the service: it serves the packed model where MOSS_MODEL names no other."""
    chosen = settings()
    if "model" in chosen.model_fields_set or not PACKED.is_dir():
        return chosen
    return chosen.model_copy(update={"model": str(PACKED)})


def packed_model(chosen: Settings) -> FoundModel | None:
    """The packed model under its registry's name; None if another one is served."""
    if chosen.model != str(PACKED):
        return None
    return FoundModel(PACKED, **read_json(PACKED.with_name(IDENTITY)))
