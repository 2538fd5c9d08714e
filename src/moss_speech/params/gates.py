"""Section `gates` of params.yaml: what a candidate must reach to become champion."""

from typing import Annotated, Literal

from pydantic import Field

from moss_speech.params.base import Params

Verdict = Literal["allowed", "refused"]


class NoWorse(Params):
    """Comparison with the champion on the items that both were asked."""

    figures: list[str] = Field(min_length=1)
    """Figures of questions, such as `s2s`; each must hold."""
    margin: float = Field(gt=0, le=1)
    """The candidate may be worse by less than this; wider intervals decide nothing."""
    confidence: float = Field(gt=0.5, lt=1)
    """Of the interval of the difference."""
    resamples: int = Field(ge=100, le=100_000)
    """Bootstrap resamples of the interval."""


class Gates(Params):
    """Limits of the figures in reports/, rights, and who says yes once they hold."""

    approval: Literal["automatic", "person"]
    """`person` waits until somebody sets the alias `approved` in the MLflow UI."""
    register_in: Literal["any_root", "temporary_root"]
    """`temporary_root` registers and promotes only where the project root is temporary."""
    at_least: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1)
    """Floor by figure: `s2s` is accuracy.s2s.value, `s2s.codes` is accuracy.s2s.codes."""
    at_most: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    """Ceiling by figure: `latency.first_audio_s` is of reports/latency.json, `text.lost` is
    text.before - text.after."""
    no_worse: NoWorse
    undeclared_sources: Verdict
    """Data whose licence or consent nobody declared, or of which nothing is recorded."""
    unlicensed_weights: Verdict
    """A model that was made from weights without a licence file."""
    answers_within_s: float = Field(gt=0, le=3600)
    """The bundle must open and answer within this, in a process of its own."""
