"""Section `monitor` of params.yaml: what the flow monitor looks at, and when it raises an alarm."""

from pydantic import Field

from moss_speech.params.base import Params


class Monitor(Params):
    """Traffic that clients let the service record, and canary questions with known answers."""

    days: int = Field(ge=1, le=365)
    """How far back the first window reaches; every other begins where the one before ended."""
    max_turns: int = Field(ge=1)
    """Turns of a window that are measured; drawn by the seed where there are more."""
    max_turns_per_session: int = Field(ge=1)
    """Turns of one live session: one speaker's are alike, which no test of drift knows."""
    min_turns: int = Field(ge=10)
    """Fewer values of a figure are not compared."""
    reference_turns: int = Field(ge=20)
    """The first values of a figure, so many, are what later windows are compared with."""
    false_alarms: float = Field(gt=0, le=0.2)
    """Share of windows without drift that may raise an alarm, over all figures together."""
    min_shift: float = Field(gt=0, lt=1)
    """Least distance of two distributions, 0..1, that counts as drift however sure it is."""
    canary: str | None = Field(min_length=1)
    """File of canary questions, from the project root; null asks none."""
    canary_floor: float = Field(ge=0, le=1)
    """Least share of canary questions that must be answered rightly."""
    retrain: bool
    """Start the flow train-pipeline when a figure begins to drift."""
