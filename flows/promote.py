"""Flow promote: make an approved version the champion."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows._notices import TOLD
from moss_speech.registry import promotion
from moss_speech.settings import settings


@flow(name="promote", **TOLD)
def promote(
    version: int | None = None, approved_by: str = "the alias approved", why: str = ""
) -> State[str]:
    """Promote `version`, or the one that carries the alias `approved`, if its gates hold."""
    gates = promotion.gates_of_root(settings().root)
    chosen = promotion.chosen_version(version)
    return Completed(message=str(promotion.promote(chosen, approved_by, gates, why)))
