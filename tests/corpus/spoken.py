"""Spoken sentences whose codes tell where each came from."""

import numpy as np

from moss_speech.corpus.alignment import WordSpan
from moss_speech.corpus.packing.material import Spoken


def spoken(id_: str, text: str, first_code: int) -> Spoken:
    """Two codes a word, all different, one code of silence at either end."""
    words = text.split()
    spans = tuple(WordSpan(w, 1 + 2 * i, 3 + 2 * i) for i, w in enumerate(words))
    codes = np.arange(first_code, first_code + 2 * len(words) + 2)
    return Spoken(id_, text, codes, True, spans)
