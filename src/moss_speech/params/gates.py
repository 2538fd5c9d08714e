"""Section `gates` of params.yaml: what a candidate must reach to become champion."""

from typing import Annotated, Literal

from pydantic import Field

from moss_speech.params.base import Params


class Gates(Params):
    """Floors of the figures in reports/metrics.json, and who says yes once they hold."""

    approval: Literal["automatic", "person"]
    """`person` waits until somebody sets the alias `approved` in the MLflow UI."""
    register_in: Literal["any_root", "temporary_root"]
    """`temporary_root` registers and promotes only where the project root is temporary."""
    at_least: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1)
    """Floor by figure: `s2s` is accuracy.s2s.value, `s2s.codes` is accuracy.s2s.codes."""
