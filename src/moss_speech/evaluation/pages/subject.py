"""What a page is about: an evaluation, and what led to it as far as it is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moss_speech.evaluation.pages.saved import Evaluation

Curve = Sequence[tuple[int, float]]
"""Points (step, value)."""


@dataclass(frozen=True)
class Stage:
    """What one stage of a pipeline took."""

    name: str
    status: str
    duration_s: float
    cpu_s: float | None = None
    peak_mb: float | None = None
    made_by: str = ""
    """The earlier run that made its output; empty if it ran here."""


@dataclass(frozen=True)
class Source:
    """Where recordings came from, and what their owners allow."""

    name: str
    licence: str
    consent: str
    n_utterances: int


@dataclass(frozen=True)
class Decision:
    """One offer of the model for promotion and what became of it."""

    kind: str
    result: str
    who: str
    when: datetime
    reason: str


@dataclass(frozen=True)
class Lineage:
    """From which code, data and parents a model came, and who accepted it."""

    run_id: str
    status: str
    started_at: datetime
    commit: str = ""
    uncommitted: bool = False
    workspace: str = ""
    version: int | None = None
    digest: str = ""
    aliases: Sequence[str] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    """Digest of each input of the stages, by its name."""
    dataset: str = ""
    """Digest of the cleaned corpus in the catalogue."""
    sources: Sequence[Source] = ()
    decisions: Sequence[Decision] = ()
    """Oldest first."""


@dataclass(frozen=True)
class Subject:
    """One evaluation with what is known of its run; what is unknown is empty."""

    name: str
    evaluation: Evaluation
    latency: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    stages: Sequence[Stage] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    packs: Sequence[Mapping[str, Any]] = ()
    """What each training stage was packed from: rows of composition.json."""
    lineage: Lineage | None = None
