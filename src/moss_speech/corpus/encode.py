"""Encoding a corpus: in processes, by shards that survive a kill."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from moss_speech.codec.load import load_codec
from moss_speech.codec.model import Codec, Codes
from moss_speech.corpus.encoding import IDS, CodeStore
from moss_speech.corpus.items import Utterance
from moss_speech.corpus.parallel import over_blocks
from moss_speech.records import report_progress


@dataclass(frozen=True)
class _Shard:
    """Some utterances, where their codes go, and what encodes them."""

    utterances: tuple[Utterance, ...]
    folder: Path
    codec: Path
    device: str

    @property
    def is_done(self) -> bool:
        """Whether its codes are there."""
        return (self.folder / IDS).is_file()


@cache
def _opened(codec: Path, device: str) -> Codec:
    opened = load_codec(codec)
    opened.encoder.to(device)
    return opened


def encode_corpus(
    utterances: Sequence[Utterance],
    codec: Path,
    shard_items: int,
    run_folder: Path,
    processes: int = 1,
    device: str = "cpu",
) -> dict[str, Codes]:
    """Codes of all utterances by the codec of a folder, in so many processes of one thread each.

    Shards in `run_folder` that are already there are not done again. Raises `ValueError` naming
    an utterance whose audio cannot be read.
    """
    shards = [
        _Shard(tuple(utterances[i : i + shard_items]), run_folder / f"codes-{i:08d}", codec, device)
        for i in range(0, len(utterances), shard_items)
    ]
    todo = [shard for shard in shards if not shard.is_done]
    done = len(utterances) - sum(len(shard.utterances) for shard in todo)
    for n_encoded in over_blocks(_encode_shard, todo, processes):
        done += n_encoded
        report_progress(done, len(utterances), "utterances encoded")
    codes: dict[str, Codes] = {}
    for shard in shards:
        codes.update(CodeStore.open(shard.folder, _opened(codec, device).digest))
    return codes


def _encode_shard(shard: _Shard) -> int:
    codec = _opened(shard.codec, shard.device)
    rate_hz = codec.config.audio_format.sample_rate_hz
    codes = codec.encode([u.read(rate_hz) for u in shard.utterances])
    by_id = {u.id: c for u, c in zip(shard.utterances, codes, strict=True)}
    CodeStore.write(shard.folder, by_id, codec.config.n_codes, codec.digest)
    return len(codes)
