"""The corpus as codes: encoded in shards that survive a kill, stored as one flat array.

A store is a folder with `codes.safetensors` (flat codes, offsets; its header names the codec)
and `ids.json` in the same order (docs/reference/codec-format.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from moss_speech.corpus.items import Utterance
from moss_speech.records import report_progress
from moss_speech.storage import read_json, write_bytes, write_json

if TYPE_CHECKING:  # who reads codes does not depend on how they are made
    from moss_speech.codec.model import Codec, Codes

_CODES = "codes.safetensors"
_IDS = "ids.json"


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
        ids = read_json(folder / _IDS)
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
        write_json(folder / _IDS, list(codes))


def encode_corpus(
    utterances: Sequence[Utterance], codec: "Codec", shard_items: int, run_folder: Path
) -> dict[str, "Codes"]:
    """Codes of all utterances; shards in `run_folder` that are already there are not done again.

    Raises `ValueError` naming an utterance whose audio cannot be read.
    """
    codes: dict[str, Codes] = {}
    for start in range(0, len(utterances), shard_items):
        shard = run_folder / f"codes-{start:08d}"
        if not (shard / _IDS).is_file():  # written last
            _encode_shard(utterances[start : start + shard_items], codec, shard)
        codes.update(CodeStore.open(shard, codec.digest))
        report_progress(len(codes), len(utterances), "utterances encoded")
    return codes


def _encode_shard(utterances: Sequence[Utterance], codec: "Codec", shard: Path) -> None:
    rate_hz = codec.config.audio_format.sample_rate_hz
    codes = codec.encode([u.read(rate_hz) for u in utterances])
    by_id = {u.id: c for u, c in zip(utterances, codes, strict=True)}
    CodeStore.write(shard, by_id, codec.config.n_codes, codec.digest)
