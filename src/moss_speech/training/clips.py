"""Training clips of decoder and vocoder: who speaks them, their audio and mel, and how to draw.

Shapes: S samples · T mel frames · M mel bands.
"""

from collections import defaultdict
from collections.abc import Container, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from moss_speech.audio import AudioFormat, Samples
from moss_speech.corpus.items import Utterance, open_utterances
from moss_speech.decoder.mel import mel_of_codes

CACHED_CLIPS = 8192
"""Clips kept in memory; the rest is read again."""


class Clips:
    """Utterances to train on, by the voice that a reply is spoken in and by the others.

    The assistant's voices are those that speak answers; without answers all voices are others.
    """

    def __init__(self, utterances: Iterable[Utterance], root: Path, format: AudioFormat) -> None:
        self._items = {u.id: u for u in utterances if u.for_training}
        if not self._items:
            raise ValueError("the corpus has 0 utterances for training, needs at least 1")
        self._root, self.format = root, format
        self.audio = lru_cache(maxsize=CACHED_CLIPS)(self._audio)
        self.mel = lru_cache(maxsize=CACHED_CLIPS)(self._mel)
        assistants = {u.speaker for u in self._items.values() if u.role == "answer"}
        self.answers = [u.id for u in self._items.values() if u.role == "answer"]
        self.assistant = [
            u.id for u in self._items.values() if u.speaker in assistants and u.role != "answer"
        ]
        self.others = [u.id for u in self._items.values() if u.speaker not in assistants]

    @classmethod
    def open(cls, clean: Path, root: Path, format: AudioFormat) -> "Clips":
        """The training clips of a clean folder; audio paths are relative to `root`."""
        return cls(open_utterances(clean).values(), root, format)

    def check_codes(self, have: Container[str]) -> None:
        """Raise `ValueError` if a clip has no codes."""
        if missing := [clip for clip in self._items if clip not in have]:
            raise ValueError(
                f"{len(missing)} of {len(self._items)} clips have no codes, such as {missing[0]}: "
                "the codes are of another corpus, run encode_corpus again"
            )

    def groups(self, answers: float, others: float) -> list[tuple[float, dict[str, list[str]]]]:
        """Groups with clips, each with its share of the draws and its clips by speaker."""
        shares = ((answers, self.answers), (others, self.others))
        all_groups = (*shares, (1 - answers - others, self.assistant))
        filled = [(share, self._by_speaker(ids)) for share, ids in all_groups if share and ids]
        if not filled:
            filled = [(1.0, self._by_speaker(list(self._items)))]
        total = sum(share for share, _ in filled)
        return [(share / total, group) for share, group in filled]

    def _by_speaker(self, ids: list[str]) -> dict[str, list[str]]:
        by_speaker: dict[str, list[str]] = defaultdict(list)
        for clip in ids:
            by_speaker[self._items[clip].speaker].append(clip)
        return by_speaker

    def _audio(self, clip: str) -> Samples:
        return self._items[clip].read(self.format.sample_rate_hz, self._root)

    def _mel(self, clip: str, n_codes: int) -> Tensor:
        return mel_of_codes(self._audio(clip), n_codes, self.format)

    def mean_mel(self, n_clips: int) -> Tensor:
        """Average mel [M] of clips spread over the corpus: a start for output biases."""
        ids = list(self._items)
        chosen = [ids[i] for i in np.linspace(0, len(ids) - 1, n_clips).astype(int)]
        per_code = self.format.samples_per_code
        mels = [self.mel(clip, max(1, self.audio(clip).size // per_code)) for clip in chosen]
        return torch.cat(mels).mean(0)


def draw_speaker(
    groups: list[tuple[float, dict[str, list[str]]]], random: np.random.Generator
) -> list[str]:
    """All clips of one speaker: a group by its share, then a speaker by his number of clips."""
    group = groups[random.choice(len(groups), p=[share for share, _ in groups])][1]
    sizes = np.array([len(clips) for clips in group.values()])
    return list(group.values())[random.choice(len(sizes), p=sizes / sizes.sum())]
