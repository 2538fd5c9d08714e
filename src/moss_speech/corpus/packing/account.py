"""Exact account of what went into the packs of one stage, by kind, language and source."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from moss_speech.audio import LISTENING
from moss_speech.corpus.packing.compose import Drawn, Kind
from moss_speech.lm.grid import IGNORE
from moss_speech.vocab import SpecialIds


@dataclass
class Cell:
    """What sequences of one kind, language and source came to."""

    sequences: int = 0
    rows: int = 0
    """Grid rows; a system turn that sequences share in a packed row is counted for each."""
    text_targets: int = 0
    speech_targets: int = 0
    codes: int = 0
    """Heard and said."""
    too_long: int = 0
    """Sequences that no packed row can hold: left out."""
    voices: set[str] = field(default_factory=set)

    @property
    def hours(self) -> float:
        """Of speech, with its repetitions."""
        return self.codes / LISTENING.codes_per_s / 3600


class Account:
    """Counts sequences as they are packed."""

    def __init__(self, ids: SpecialIds) -> None:
        self._ids = ids
        self.cells: dict[tuple[Kind, str, str], Cell] = defaultdict(Cell)

    def _cell(self, drawn: Drawn) -> Cell:
        """Names of joined dialogues of several languages or sources are joined by `+`."""
        languages = sorted({origin.language for origin in drawn.origins})
        sources = sorted({origin.source for origin in drawn.origins})
        return self.cells[drawn.kind, "+".join(languages), "+".join(sources)]

    def leave_out(self, drawn: Drawn) -> None:
        """Count a sequence that is too long."""
        self._cell(drawn).too_long += 1

    def add(self, drawn: Drawn) -> None:
        """Count a sequence that is packed."""
        rows_TC, targets_TC = drawn.sequence.rows_TC, drawn.sequence.targets_TC
        cell, is_code_T = self._cell(drawn), rows_TC[:, 0] == self._ids.modality_pad
        text, speech = (targets_TC != IGNORE).sum(axis=0).tolist()
        cell.sequences += 1
        cell.rows += len(rows_TC)
        cell.text_targets += text
        cell.speech_targets += speech
        cell.codes += int((is_code_T & (rows_TC[:, 1] != self._ids.eosp)).sum())
        cell.voices |= drawn.voices

    @property
    def sequences(self) -> int:
        """Packed sequences."""
        return sum(cell.sequences for cell in self.cells.values())

    @property
    def too_long(self) -> int:
        """Sequences that were left out."""
        return sum(cell.too_long for cell in self.cells.values())

    def rows(self) -> list[dict[str, Any]]:
        """One row a kind, language and source, in order; only training material is ever packed."""
        return [
            {
                "kind": kind,
                "language": language,
                "source": source,
                "split": "train",
                "sequences": cell.sequences,
                "rows": cell.rows,
                "text_targets": cell.text_targets,
                "speech_targets": cell.speech_targets,
                "hours": cell.hours,
                "voices": len(cell.voices),
                "too_long": cell.too_long,
            }
            for (kind, language, source), cell in sorted(self.cells.items())
        ]
