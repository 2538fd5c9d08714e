"""Sequences packed into rows of fixed length: block-diagonal, positions restart in each.

Sequences with the same system turn share its rows: a packed row opens with that prefix once,
and every sequence in it sees the prefix and itself, nothing else.
Shapes: N packed rows, L grid rows in each, C channels (0 text, 1 speech).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from moss_speech.lm.grid import IGNORE, GridSequence, Rows
from moss_speech.vocab import SpecialIds

Needs = Literal["text", "audio", "both"]
PREFIX, FILLING = 0, -1
"""Document numbers of the shared prefix and of the unused end of a packed row."""
_OPEN_ROWS = 8
"""Packed rows of one kind that wait for a sequence that fits."""


@dataclass(frozen=True, eq=False)
class Packed:
    """Packed rows; a sequence is never cut, and one row holds sequences of equal needs.

    `document_NL` numbers the sequences of a row from 1; 0 is their shared prefix, -1 filling.
    """

    rows_NLC: NDArray[np.int32]
    targets_NLC: NDArray[np.int32]
    document_NL: NDArray[np.int16]
    position_NL: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows_NLC)

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        save_file(dict(vars(self)), path)

    @classmethod
    def load(cls, path: Path) -> "Packed":
        """Read what `save` wrote; `ValueError` if the file is missing."""
        if not path.is_file():
            raise ValueError(f"{path} is missing: params.yaml asks `pack` for no such stage")
        return cls(**load_file(path))


@dataclass(eq=False)
class _Row:
    """A packed row that is being filled."""

    used: int
    sequences: list[GridSequence] = field(default_factory=list)

    def add(self, sequence: GridSequence) -> None:
        self.sequences.append(sequence)
        self.used += _own(sequence)


def _own(sequence: GridSequence) -> int:
    """Rows of a sequence that it shares with no other."""
    return len(sequence.rows_TC) - sequence.n_prefix


def needs(sequence: GridSequence) -> Needs:
    """Which tails a sequence has targets for; `ValueError` if for none."""
    text, audio = (bool((sequence.targets_TC[:, c] != IGNORE).any()) for c in (0, 1))
    if not text and not audio:
        raise ValueError(f"a sequence of {len(sequence.rows_TC)} rows has no target")
    return "both" if text and audio else "text" if text else "audio"


class Packer:
    """Fills packed rows of `context` grid rows by best fit."""

    def __init__(self, context: int, ids: SpecialIds) -> None:
        self._context, self._ids = context, ids
        self._open: dict[tuple[Needs, bytes], list[_Row]] = {}
        self._closed: list[_Row] = []

    @property
    def closed(self) -> int:
        """Packed rows that are finished."""
        return len(self._closed)

    def add(self, sequence: GridSequence) -> None:
        """Put a sequence where it leaves the least room; `ValueError` if it can fit nowhere."""
        if (length := len(sequence.rows_TC)) > self._context:
            raise ValueError(f"a sequence has {length} rows, must be 1..{self._context} (context)")
        prefix = sequence.rows_TC[: sequence.n_prefix].tobytes()
        rows = self._open.setdefault((needs(sequence), prefix), [])
        fitting = [row for row in rows if row.used + _own(sequence) <= self._context]
        if not fitting:
            if len(rows) == _OPEN_ROWS:
                fullest = max(rows, key=lambda row: row.used)
                rows.remove(fullest)
                self._closed.append(fullest)
            fitting = [_Row(used=sequence.n_prefix)]
            rows += fitting
        max(fitting, key=lambda row: row.used).add(sequence)

    def finish(self) -> Packed:
        """Close every row and lay all of them out."""
        self._closed += [row for rows in self._open.values() for row in rows]
        self._open = {}
        return self._laid_out(self._closed)

    def _laid_out(self, rows: list[_Row]) -> Packed:
        shape = (len(rows), self._context)
        filling = (self._ids.pad, self._ids.audio_pad)
        packed = Packed(
            rows_NLC=np.tile(np.array(filling, np.int32), (*shape, 1)),
            targets_NLC=np.full((*shape, 2), IGNORE, np.int32),
            document_NL=np.full(shape, FILLING, np.int16),
            position_NL=np.zeros(shape, np.int32),
        )
        for n, row in enumerate(rows):
            first = row.sequences[0]
            _write(packed, n, 0, first, slice(0, first.n_prefix), PREFIX)
            start = first.n_prefix
            for number, sequence in enumerate(row.sequences, 1):
                own = slice(sequence.n_prefix, len(sequence.rows_TC))
                _write(packed, n, start, sequence, own, number)
                start += _own(sequence)
        return packed


def _write(
    packed: Packed, n: int, start: int, sequence: GridSequence, part: slice, number: int
) -> None:
    """Copy a part of a sequence into packed row `n` from grid row `start` on."""
    place = slice(start, start + part.stop - part.start)
    packed.rows_NLC[n, place] = sequence.rows_TC[part]
    packed.targets_NLC[n, place] = sequence.targets_TC[part]
    packed.document_NL[n, place] = number
    packed.position_NL[n, place] = np.arange(part.start, part.stop)


def pack(sequences: Iterable[GridSequence], context: int, ids: SpecialIds) -> Packed:
    """Pack all sequences; every one appears once and whole."""
    packer = Packer(context, ids)
    for sequence in sequences:
        packer.add(sequence)
    return packer.finish()


def unpack(packed: Packed) -> Iterator[GridSequence]:
    """The sequences of packed rows, each with its prefix, row by row."""
    for n in range(len(packed)):
        document_L = packed.document_NL[n]
        n_prefix = int((document_L == PREFIX).sum())
        for number in range(1, int(document_L.max()) + 1):
            mine_L = (document_L == PREFIX) | (document_L == number)
            rows_TC: Rows = packed.rows_NLC[n, mine_L].astype(np.int64)
            targets_TC: Rows = packed.targets_NLC[n, mine_L].astype(np.int64)
            yield GridSequence(rows_TC, targets_TC, n_prefix)
