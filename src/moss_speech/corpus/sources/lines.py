"""What a source plans to have spoken, before any audio exists."""

from dataclasses import dataclass, field
from typing import Literal

from moss_speech.corpus.items import Role, Split
from moss_speech.speech.voices.base import Manner

Flaw = Literal[
    "silent", "clipped", "truncated", "duplicate", "wrong_transcript", "quiet", "empty_text"
]
FLAWS: tuple[Flaw, ...] = (
    "silent", "clipped", "truncated", "duplicate", "wrong_transcript", "quiet", "empty_text"
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Where a line is spoken: loudness, noise behind it, pauses around it."""

    level_db: float
    """RMS of the speech in dB of full scale."""
    noise_tilt: float = 0.0
    """Power of the noise falls as 1/f**tilt: 0 white, 1 pink, 2 brown."""
    snr_db: float | None = None
    """None: no noise."""
    pause_before_s: float = 0.0
    pause_after_s: float = 0.0


@dataclass(frozen=True)
class Line:
    """One utterance to be: words, who says them and how."""

    id: str
    text: str
    synthesizer: str
    voice: str
    speaker: str
    """The voice's identity; accents and rates of one voice share it."""
    role: Role
    voice_split: Split
    text_split: Split
    manner: Manner
    throat: float
    """Length of the speaker's throat relative to the voice's own: below 1 higher, like a child."""
    scene: Scene
    seed: int
    """Of the noise behind it; equal lines with equal seeds give equal audio."""
    tags: dict[str, str] = field(default_factory=dict)
    flaw: Flaw | None = None
    written: str | None = None
    """A transcript other than `text`, to be wrong on purpose."""
