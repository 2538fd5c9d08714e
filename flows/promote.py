"""Flow promote: make an approved version the champion."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows._notices import TOLD
from moss_speech.registry import promotion
from moss_speech.settings import settings


@flow(name="promote", **TOLD)
def promote(
    version: int | None = None, approved_by: str | None = None, why: str = ""
) -> State[str]:
    """Promote `version`, or the one that carries the alias `approved`, if its gates hold.

    `approved_by` says who decided it; without it the login name of a number, else the alias.
    """
    gates = promotion.gates_of_root(settings().root)
    chosen, who = promotion.chosen_version(version, approved_by)
    return Completed(message=str(promotion.promote(chosen, who, gates, why)))
