"""Filling the packed rows of one training stage, with exact account of what went in."""

from collections import Counter
from collections.abc import Iterable

from moss_speech.corpus.packing.compose import Kind
from moss_speech.corpus.packing.packed import Packed, Packer
from moss_speech.lm.grid import IGNORE, GridSequence
from moss_speech.vocab import SpecialIds

Account = dict[str, dict[str, int]]
"""For each kind of sequence: sequences, rows, targets of both channels, those too long."""


def compose_packed(
    sequences: Iterable[tuple[Kind, GridSequence]], n_rows: int, context: int, ids: SpecialIds
) -> tuple[Packed, Account]:
    """Pack sequences until `n_rows` packed rows are closed; what is still open comes on top.

    Sequences longer than `context` are counted as `too_long` and left out.
    """
    packer, counts = Packer(context, ids), Counter[tuple[str, str]]()
    for kind, sequence in sequences:
        if len(sequence.rows_TC) > context:
            counts[kind, "too_long"] += 1
            _give_up(counts, context)
            continue
        packer.add(sequence)
        text, audio = (sequence.targets_TC != IGNORE).sum(axis=0).tolist()
        counts[kind, "sequences"] += 1
        counts[kind, "rows"] += len(sequence.rows_TC)
        counts[kind, "text_targets"] += text
        counts[kind, "speech_targets"] += audio
        if packer.closed >= n_rows:
            break
    account: Account = {}
    for (kind_name, what), count in sorted(counts.items()):
        account.setdefault(kind_name, {})[what] = count
    return packer.finish(), account


def _give_up(counts: Counter[tuple[str, str]], context: int) -> None:
    """Raise if nearly nothing fits, instead of drawing for ever."""
    too_long = sum(n for (_, what), n in counts.items() if what == "too_long")
    packed = sum(n for (_, what), n in counts.items() if what == "sequences")
    if too_long > 100 + packed:
        raise ValueError(f"{too_long} of {too_long + packed} sequences exceed context {context}")
