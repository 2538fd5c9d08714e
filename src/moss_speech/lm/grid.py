"""Conversations as grid rows, for training and serving alike; the only label shift is here.

The layout is docs/reference/format.md section 3.
Shapes: T grid rows, C channels (0 text, 1 speech).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moss_speech.lm.config import LMConfig
from moss_speech.lm.tokenizer import TextTokenizer

Rows = NDArray[np.int64]
"""Grid rows or targets, [T, 2]."""
Codes = Sequence[int] | NDArray[np.int64]
Role = Literal["system", "user", "assistant"]
Output = Literal["text", "audio"]

IGNORE = -100
"""Target of a row and channel that has no target."""
SYSTEM: dict[Output, str] = {
    "text": "You are a helpful assistant. Answer the user's questions with text.",
    "audio": "You are a helpful voice assistant. "
    "Answer the user's questions with spoken responses.",
}
"""Published system texts; they choose the modality of the answer."""
REPEAT: dict[Output, str] = {
    "text": "Write down what the user says.",
    "audio": "Say what the user says.",
}
"""System texts of our own for dictation and reading aloud."""


class TooLongError(ValueError):
    """A conversation that leaves no room for an answer."""


@dataclass(frozen=True)
class Turn:
    """One side's contribution: text, or the codes of speech."""

    role: Role
    text: str | None = None
    codes: Codes | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.codes is None):
            raise ValueError(f"a {self.role} turn must have either text or codes")
        if self.codes is not None and len(self.codes) == 0:
            raise ValueError(f"a {self.role} turn has 0 codes, must have at least 1")


@dataclass(frozen=True, eq=False)
class GridSequence:
    """Rows of one training sequence and, for each, what its successor should be."""

    rows_TC: Rows
    targets_TC: Rows
    n_prefix: int = 0
    """First rows that other sequences have alike: the system turn; they hold no target."""


class GridWriter:
    """Writes conversations of one model as rows."""

    def __init__(self, tokenizer: TextTokenizer, config: LMConfig) -> None:
        self._tokenizer, self._ids, self._n_codes = tokenizer, config.ids, config.n_codes

    def text(self, ids: Sequence[int]) -> Rows:
        """One row a token: (token, audio pad)."""
        rows_TC = np.full((len(ids), 2), self._ids.audio_pad, np.int64)
        rows_TC[:, 0] = ids
        return rows_TC

    def codes(self, codes: Codes) -> Rows:
        """One row a code, then the end of speech: (modality pad, code)."""
        values = np.append(np.asarray(codes, np.int64), self._ids.eosp)
        if values.min() < 0 or values[:-1].max(initial=0) >= self._n_codes:
            bad = next(c for c in values if not 0 <= c < self._n_codes)
            raise ValueError(f"code {bad} is outside the codebook 0..{self._n_codes - 1}")
        rows_TC = np.full((len(values), 2), self._ids.modality_pad, np.int64)
        rows_TC[:, 1] = values
        return rows_TC

    def words(self, text: str) -> Rows:
        """Rows of plain text."""
        return self.text(self._tokenizer.encode(text))

    def header(self, role: Role, output: Output) -> Rows:
        """Rows that open a turn; speech is opened by its start token."""
        ids = [self._ids.im_start, *self._tokenizer.encode(f"{role}\n")]
        return self.text([*ids, self._ids.sosp] if output == "audio" else ids)

    def content(self, turn: Turn) -> Rows:
        """Rows of what is said, up to the end of the turn."""
        codes = () if turn.codes is None else turn.codes
        said = self.words(turn.text) if turn.text is not None else self.codes(codes)
        return np.concatenate((said, self.text([self._ids.im_end])))

    @property
    def newline(self) -> Rows:
        """The row after a turn's end."""
        return self.words("\n")

    def turn(self, turn: Turn) -> Rows:
        """All rows of a turn."""
        return np.concatenate(
            (self.header(turn.role, modality(turn)), self.content(turn), self.newline)
        )

    def spoken(self, codes: Codes) -> Rows:
        """Rows of speech that goes on: those of `codes` without the end of speech."""
        return self.codes(codes)[:-1]


def modality(turn: Turn) -> Output:
    """In which modality a turn speaks."""
    return "text" if turn.text is not None else "audio"


def with_system(turns: Sequence[Turn], output: Output) -> list[Turn]:
    """The turns, opened by the published system text unless they have one of their own."""
    opened = bool(turns) and turns[0].role == "system"
    return list(turns) if opened else [Turn("system", SYSTEM[output]), *turns]


def prompt_rows(
    turns: Sequence[Turn], output: Output, tokenizer: TextTokenizer, config: LMConfig
) -> Rows:
    """Rows of a conversation up to where the assistant's reply begins, [T, 2].

    Without a system turn the published system text of `output` comes first.
    """
    if not turns:
        raise ValueError("a conversation has 0 turns, must have at least 1")
    writer = GridWriter(tokenizer, config)
    pieces = [writer.turn(turn) for turn in with_system(turns, output)]
    rows_TC = np.concatenate([*pieces, writer.header("assistant", output)])
    if len(rows_TC) >= (limit := config.max_position_embeddings):
        raise TooLongError(f"the prompt has {len(rows_TC)} rows, must have fewer than {limit}")
    return rows_TC


def training_sequence(
    turns: Sequence[Turn], tokenizer: TextTokenizer, config: LMConfig
) -> GridSequence:
    """Rows and targets of a whole conversation: every assistant turn is to be learnt.

    What is learnt of a turn is its content and its end, after the header that a prompt ends in.
    """
    writer = GridWriter(tokenizer, config)
    assistant = next(turn for turn in turns if turn.role == "assistant")
    pieces: list[tuple[Rows, bool]] = []
    for turn in with_system(turns, modality(assistant)):
        pieces.append((writer.header(turn.role, modality(turn)), False))
        pieces.append((writer.content(turn), turn.role == "assistant"))
        pieces.append((writer.newline, False))
    return aligned(pieces[:-1], config, n_prefix=sum(len(rows) for rows, _ in pieces[:3]))


def interleaved_sequence(
    spans: Sequence[str | Codes], tokenizer: TextTokenizer, config: LMConfig
) -> GridSequence:
    """Rows and targets of speech that alternates with text, all of it to be learnt.

    No turns and no system text: raw text and speech segments in a row.
    """
    writer = GridWriter(tokenizer, config)
    start, end = writer.text([config.ids.sosp]), writer.text([config.ids.im_end])
    pieces: list[tuple[Rows, bool]] = [(writer.text([config.ids.im_start]), False)]
    for span in spans:
        rows = writer.words(span) if isinstance(span, str) else writer.codes(span)
        pieces += [(rows, True)] if isinstance(span, str) else [(start, True), (rows, True)]
    return aligned([*pieces, (end, True)], config)


def aligned(
    pieces: Sequence[tuple[Rows, bool]], config: LMConfig, n_prefix: int = 0
) -> GridSequence:
    """Join pieces; each row's target is the next row's meaningful channel if that is learnt.

    The last row has no successor and is dropped.
    """
    rows_TC = np.concatenate([rows for rows, _ in pieces])
    learnt_T = np.repeat([learnt for _, learnt in pieces], [len(rows) for rows, _ in pieces])[1:]
    is_speech_T = rows_TC[1:, 0] == config.ids.modality_pad
    targets_TC = rows_TC[1:].copy()
    targets_TC[~learnt_T | is_speech_T, 0] = IGNORE
    targets_TC[~learnt_T | ~is_speech_T, 1] = IGNORE
    return GridSequence(rows_TC[:-1], targets_TC, n_prefix)


def reply_text(rows_TC: Rows, tokenizer: TextTokenizer, config: LMConfig) -> str:
    """The text of generated rows; speech rows and special tokens leave no trace."""
    return tokenizer.decode([int(t) for t in rows_TC[:, 0] if t != config.ids.modality_pad])


def reply_codes(rows_TC: Rows, config: LMConfig) -> list[int]:
    """The codes of the first speech segment of generated rows, without its end."""
    codes: list[int] = []
    for text, audio in rows_TC.tolist():
        if text != config.ids.modality_pad:
            if codes:
                break
            continue
        if audio == config.ids.eosp:
            break
        codes.append(audio)
    return codes
