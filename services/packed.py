"""The model that travels inside a Bento, beside the code; the project root has none."""

from pathlib import Path

from moss_speech.settings import Settings, settings

PACKED = Path(__file__).parents[1] / "packed"
"""A bundle, in a Bento that `moss-speech package` made."""


def served_settings() -> Settings:
    """The settings of the service: it serves the packed model where MOSS_MODEL names no other."""
    chosen = settings()
    if "model" in chosen.model_fields_set or not PACKED.is_dir():
        return chosen
    return chosen.model_copy(update={"model": str(PACKED)})
