"""The test of codec and decoder alone: its rows, its figures, its sounds, its speed."""

from collections.abc import Mapping, Sequence
from typing import Any

from moss_speech.audio import Samples
from moss_speech.bundle import SpeechParts
from moss_speech.corpus.items import Utterance
from moss_speech.evaluation.codec_scores import figures, measure, rates
from moss_speech.evaluation.passages import Stopwatch, pass_through
from moss_speech.evaluation.statistics import Sampling
from moss_speech.records import report_progress

CODEC_ITEMS = "codec-items.jsonl"


class CodecTrial:
    """Utterances through a model's codec and decoder, measured."""

    def __init__(
        self,
        parts: SpeechParts,
        groups: Mapping[str, Sequence[Utterance]],
        answers: Sequence[str],
        how: Sampling,
    ) -> None:
        clock = Stopwatch()
        passages = pass_through(parts, groups, clock)
        report_progress(len(passages), len(passages), "clips through codec and decoder")
        self.rows = measure(passages, parts, answers)
        """One row a sound."""
        self.figures: dict[str, Any] = {
            "rates": rates(parts, passages),
            "heard": figures(self.rows, how),
        }
        """What report.json says of it."""
        self.sounds: dict[str, Samples] = {
            p.file(kind): sound for p in passages for kind, sound in p.sounds.items()
        }
        """Every sound by the name of its file."""
        self.speed = clock.real_time_factors()
        """Seconds of work for a second of sound: `encode`, `decode`, `stream`."""
