"""What a corpus consists of: utterances and dialogues, and how their folders are read.

A corpus folder holds `recordings.jsonl.gz` and `supervisions.jsonl.gz` (Lhotse) and
`dialogues.jsonl`; a clean folder holds `cuts.jsonl.gz`, `dialogues.jsonl`, `rejects.jsonl`.
Paths of audio are relative to the project root.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lhotse import CutSet

from moss_speech.audio import Samples, Span, read_audio
from moss_speech.storage import read_jsonl

Split = Literal["train", "dev", "test"]
Role = Literal["question", "answer", "salad", "human", "recording"]
"""Question and answer of a dialogue, word salad, real human speech, a user's own recording."""


@dataclass(frozen=True)
class Utterance:
    """One spoken piece of audio with its words."""

    id: str
    audio: Path
    """File of the recording, relative to the project root."""
    duration_s: float
    text: str
    speaker: str
    """Synthesiser and voice, such as `espeak-ng:f4`, or a person."""
    role: Role
    voice_split: Split
    text_split: Split
    tags: dict[str, str] = field(default_factory=dict)
    """Facts about it, such as synthesizer, fact, wording, category."""
    span: Span | None = None
    """Where it lies in the recording; None: it is the whole recording."""
    channel: int = 0
    language: str = "en"
    """ISO 639 code; empty: unknown, which cleaning rejects."""

    def read(self, sample_rate_hz: int, root: Path = Path()) -> Samples:
        """Its samples; `root` is the project root, by default the working directory."""
        return read_audio(root / self.audio, sample_rate_hz, self.span, self.channel)

    @property
    def for_training(self) -> bool:
        """Neither its voice nor its wording is held out."""
        return self.voice_split == self.text_split == "train"


@dataclass(frozen=True)
class Turn:
    """One side's words and the utterances that speak them; several renditions are alternatives."""

    role: Literal["user", "assistant"]
    text: str
    utterances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialogue:
    """Turns that belong together; `split` is that of its wording."""

    id: str
    split: Split
    turns: tuple[Turn, ...]
    tags: dict[str, str] = field(default_factory=dict)
    """`taught` is `speech` or, where spoken question and answer never meet in training, `text`."""

    @property
    def exchanges(self) -> list[tuple[Turn, Turn]]:
        """Each user turn with its answer; `ValueError` unless the two sides take turns."""
        roles = [turn.role for turn in self.turns]
        if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
            said = ", ".join(roles) or "nobody"
            raise ValueError(f"dialogue {self.id}: turns of {said}, must be user, assistant, ...")
        return list(zip(self.turns[::2], self.turns[1::2], strict=True))

    def to_json(self) -> dict[str, Any]:
        """The row of dialogues.jsonl."""
        turns = [
            {"role": t.role, "text": t.text, "utterances": list(t.utterances)} for t in self.turns
        ]
        return {"id": self.id, "split": self.split, "turns": turns, "tags": self.tags}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Dialogue":
        """Read a row of dialogues.jsonl."""
        turns = tuple(Turn(t["role"], t["text"], tuple(t["utterances"])) for t in row["turns"])
        return cls(row["id"], row["split"], turns, row["tags"])


def utterance_of(cut: Any) -> Utterance:
    """The utterance that a Lhotse cut holds."""
    supervision = cut.supervisions[0]
    custom = dict(supervision.custom)
    return Utterance(
        id=cut.id,
        audio=Path(cut.recording.sources[0].source),
        duration_s=cut.duration,
        text=supervision.text,
        speaker=supervision.speaker,
        role=custom.pop("role"),
        voice_split=custom.pop("voice_split"),
        text_split=custom.pop("text_split"),
        tags={k: str(v) for k, v in custom.items()},
        span=None if cut.duration == cut.recording.duration else Span(cut.start, cut.duration),
        channel=cut.channel,
        language=supervision.language or "",
    )


def open_utterances(folder: Path) -> dict[str, Utterance]:
    """All utterances of a clean folder by id, in the order of the manifest."""
    cuts = CutSet.from_jsonl_lazy(folder / "cuts.jsonl.gz")
    return {cut.id: utterance_of(cut) for cut in cuts}


def open_dialogues(folder: Path) -> list[Dialogue]:
    """All dialogues of a corpus or clean folder."""
    return [Dialogue.from_json(row) for row in read_jsonl(folder / "dialogues.jsonl")]
