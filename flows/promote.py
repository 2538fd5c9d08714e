"""Flow promote: make an approved version the champion."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from moss_speech.params.sections import load_pipeline
from moss_speech.registry import promotion
from moss_speech.registry.versions import APPROVED, version_with
from moss_speech.settings import settings


@flow(name="promote")
def promote(version: int | None = None, approved_by: str = "the alias approved") -> State[str]:
    """Promote `version`, or the one that carries the alias `approved`, if its gates hold."""
    version = version or version_with(APPROVED)
    if version is None:
        raise ValueError(f"no version carries the alias {APPROVED!r}; set it in the MLflow UI")
    gates = load_pipeline(settings().root / "params.yaml").gates
    return Completed(message=str(promotion.promote(version, approved_by, gates)))
