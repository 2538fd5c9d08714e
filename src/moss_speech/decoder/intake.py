"""The codes of one reply as they come: checked, counted, until they end."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from moss_speech.decoder.voice import check_codes

Codes = Sequence[int] | NDArray[np.int64]


class Intake:
    """What every stream of a decoder does with codes before it speaks them."""

    def __init__(self, codebook_size: int) -> None:
        self._codebook_size = codebook_size
        self.n_codes = 0
        """Codes so far."""
        self.ended = False

    def take(self, codes: Codes) -> list[int]:
        """More codes, none included.

        Raises `ValueError` for one out of range and `RuntimeError` after the end; both leave the
        stream as it was.
        """
        self._refuse_after_the_end()
        taken: list[int] = check_codes(codes, self._codebook_size).tolist() if len(codes) else []
        self.n_codes += len(taken)
        return taken

    def end(self) -> None:
        """Say that no codes follow; `RuntimeError` if it was said."""
        self._refuse_after_the_end()
        self.ended = True

    def _refuse_after_the_end(self) -> None:
        if self.ended:
            raise RuntimeError("this stream has finished; start a new one")
