"""Filling the packed rows of one training stage, with exact account of what went in."""

from collections.abc import Iterable

from moss_speech.corpus.packing.account import Account
from moss_speech.corpus.packing.compose import Drawn
from moss_speech.corpus.packing.packed import Packed, Packer
from moss_speech.vocab import SpecialIds


def compose_packed(
    sequences: Iterable[Drawn], n_rows: int, context: int, ids: SpecialIds
) -> tuple[Packed, Account]:
    """Pack sequences until `n_rows` packed rows are closed; what is still open comes on top.

    Sequences longer than `context` are counted as too long and left out.
    """
    packer, account = Packer(context, ids), Account(ids)
    for drawn in sequences:
        if len(drawn.sequence.rows_TC) > context:
            account.leave_out(drawn)
            _give_up(account, context)
            continue
        packer.add(drawn.sequence)
        account.add(drawn)
        if packer.closed >= n_rows:
            break
    return packer.finish(), account


def _give_up(account: Account, context: int) -> None:
    """Raise if nearly nothing fits, instead of drawing for ever."""
    too_long, packed = account.too_long, account.sequences
    if too_long > 100 + packed:
        raise ValueError(f"{too_long} of {too_long + packed} sequences exceed context {context}")
