"""The corpus as codes, stored as one flat array; how they are made is `encode`.

A store is a folder with `codes.safetensors` (flat codes, offsets; its header names the codec)
and `ids.json` in the same order (docs/reference/codec-format.md).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from moss_speech.storage import read_json, write_bytes, write_json

if TYPE_CHECKING:  # who reads codes does not depend on how they are made
    from moss_speech.codec.model import Codes

_CODES = "codes.safetensors"
IDS = "ids.json"
"""Written last."""


class CodeStore(Mapping[str, "Codes"]):
    """Codes by utterance id."""

    def __init__(
        self, ids: list[str], codes: "Codes", offsets: "Codes", header: dict[str, str]
    ) -> None:
        self._place = {id_: i for i, id_ in enumerate(ids)}
        self._codes, self._offsets = codes, offsets
        self.n_codes = int(header["n_codes"])
        self.codec_digest = header["codec_digest"]

    def __getitem__(self, id_: str) -> "Codes":
        i = self._place[id_]
        return self._codes[self._offsets[i] : self._offsets[i + 1]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    @classmethod
    def open(cls, folder: Path, codec_digest: str | None = None) -> "CodeStore":
        """Read a store; `ValueError` if it is damaged or `codec_digest` is another codec's."""
        with safe_open(folder / _CODES, "numpy") as file:
            header = file.metadata() or {}
            codes, offsets = file.get_tensor("codes"), file.get_tensor("offsets")
        ids = read_json(folder / IDS)
        if missing := {"n_codes", "codec_digest"} - header.keys():
            raise ValueError(f"{folder / _CODES}: header lacks {', '.join(sorted(missing))}")
        if len(offsets) != len(ids) + 1 or offsets[-1] != len(codes):
            raise ValueError(f"{folder}: {len(ids)} ids do not fit {len(offsets) - 1} entries")
        if codec_digest is not None and codec_digest != header["codec_digest"]:
            raise ValueError(
                f"{folder} holds codes of codec {header['codec_digest'][:12]}, "
                f"must be of {codec_digest[:12]}: encode the corpus again"
            )
        return cls(ids, codes, offsets, header)

    @staticmethod
    def write(folder: Path, codes: Mapping[str, "Codes"], n_codes: int, codec_digest: str) -> None:
        """Write a store into an existing folder."""
        flat = np.concatenate([np.zeros(0, np.int64), *codes.values()])
        offsets = np.cumsum([0, *(len(c) for c in codes.values())], dtype=np.int64)
        header = {"n_codes": str(n_codes), "codec_digest": codec_digest}
        write_bytes(folder / _CODES, save({"codes": flat, "offsets": offsets}, header))
        write_json(folder / IDS, list(codes))
