"""Flow rollback: one command back to the previous champion."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows._notices import TOLD
from moss_speech.registry import promotion


@flow(name="rollback", **TOLD)
def rollback(approved_by: str, why: str = "") -> State[str]:
    """Make the previous champion the champion again; `approved_by` says who decided it."""
    return Completed(message=str(promotion.rollback(approved_by, why)))
