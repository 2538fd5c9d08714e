import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.audio import SPEAKING, resample, write_audio
from moss_speech.corpus.clean.duplicates import distance, fingerprint
from moss_speech.corpus.clean.listen import Heard, stratified
from moss_speech.corpus.clean.measure import Measured, Undecodable, measure
from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.clean.verdicts import check_heard, check_item, is_doubtful
from moss_speech.corpus.items import Utterance, open_dialogues, open_utterances
from moss_speech.corpus.sources.collect import collect_corpus
from moss_speech.params.clean import Clean
from moss_speech.params.corpus import Corpus, Embedded
from moss_speech.params.sources import SplitShares
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import Flite
from moss_speech.storage import read_json, read_jsonl, tree_digest

SHARES = SplitShares(train=0.9, dev=0.05, test=0.05)
GOOD = Measured("a", 2.0, 1.5, -23.0, 0.0, bytes(64))


def item(item_id: str = "a", **changes: object) -> Utterance:
    plain = Utterance(
        item_id,
        Path("a.flac"),
        2.0,
        "what color is grass",
        "flite:rms",
        "question",
        "train",
        "train",
    )
    return dataclasses.replace(plain, **changes)


def test_sound_item_is_kept(cleaning):
    assert check_item(item(), GOOD, cleaning) is None
    assert not is_doubtful(item(), GOOD, cleaning)


@pytest.mark.parametrize(
    ("reason", "changes", "value", "allowed"),
    [
        ("duration", {"duration_s": 16.0}, "16 s", "0.3..15 s"),
        ("loudness", {"loudness_lufs": -70.0}, "-70 LUFS", "-45..-8 LUFS"),
        ("clipping", {"clipped_share": 0.5}, "50.00% of samples", "<= 1.00% of samples"),
        ("speech", {"speech_s": 0.0}, "0.00 s", ">= 0.15 s"),
    ],
)
def test_reject_names_reason_value_and_limit(cleaning, reason, changes, value, allowed):
    reject = check_item(item(), dataclasses.replace(GOOD, **changes), cleaning)
    assert reject is not None
    assert (reject.reason, reject.value, reject.allowed) == (reason, value, allowed)


def test_undecodable_and_wordless_items_are_rejected(cleaning):
    broken = check_item(item(), Undecodable("a", "a.flac is no audio"), cleaning)
    assert broken is not None and broken.reason == "decode"
    wordless = check_item(item(text=" ?! "), GOOD, cleaning)
    assert wordless is not None and wordless.reason == "text"


def test_transcript_far_from_the_speech_is_doubted(cleaning):
    assert is_doubtful(item(text="no"), GOOD, cleaning)
    assert is_doubtful(item(text="word " * 30), GOOD, cleaning)


def test_disagreement_and_bad_sound_are_rejected(cleaning):
    heard = Heard("what color is grass", None, 3.0)
    assert check_heard(item(), heard, cleaning) is None
    wrong = dataclasses.replace(heard, words="thank you")
    assert check_heard(item(), wrong, cleaning).reason == "agreement"
    noisy = dataclasses.replace(heard, quality=1.0)
    assert check_heard(item(), noisy, cleaning).reason == "quality"


@given(speakers=st.lists(st.integers(0, 2), min_size=1, max_size=40), count=st.integers(0, 50))
def test_sample_is_spread_over_the_voices(speakers, count):
    drawn = stratified(speakers, count, seed=1)
    assert len(drawn) == min(count, len(speakers)) == len(set(drawn))
    taken = {s: sum(speakers[n] == s for n in drawn) for s in set(speakers)}
    left = {s: speakers.count(s) - n for s, n in taken.items()}
    assert all(taken[s] >= max(taken.values()) - 1 for s in taken if left[s])


def test_fingerprints_ignore_level_and_tell_renditions_apart():
    clip, other = (
        resample(
            Flite().say("what color is grass", "rms", Manner(rate=r)),
            SPEAKING.sample_rate_hz,
            16000,
        )
        for r in (1.0, 1.06)
    )
    assert distance(fingerprint(clip), fingerprint(0.3 * clip)) < 0.01
    assert distance(fingerprint(clip), fingerprint(other)) > 0.05


def test_declared_length_must_be_real(tmp_path, cleaning):
    write_audio(tmp_path / "a.wav", np.zeros(24000, np.float32), 24000)
    declared = item(audio=Path("a.wav"), duration_s=1.0)
    assert isinstance(measure(declared, tmp_path, cleaning), Measured)
    short = measure(dataclasses.replace(declared, duration_s=1.5), tmp_path, cleaning)
    assert isinstance(short, Undecodable) and "declared 1.500 s, holds 1.000 s" in short.reason


def collect(few: Embedded, root: Path, threads: int) -> None:
    """A real corpus of about 60 clips, some broken, at ROOT/data/corpus."""
    counts = {"renditions": 1, "held_out_renditions": 0, "wordings_read": 0}
    embedded = few.model_copy(update={"assistant": few.assistant.model_copy(update=counts)})
    p = Corpus(
        threads=threads,
        embedded=embedded,
        human_test=False,
        split_shares=SHARES,
        sources=[],
        synthesised=[],
    )
    (root / "data" / "corpus").mkdir(parents=True)
    collect_corpus(p, 1, root / "data" / "corpus", Path("data/corpus"))


def clean(root: Path, p: Clean, out: Path) -> dict[str, Any]:
    out.mkdir()
    blocks = out.parent / f"{out.name}-blocks"
    return clean_corpus(root / "data" / "corpus", root, p, seed=1, out=out, folder=blocks)


@pytest.fixture(scope="module")
def root(few, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    collect(few, root, threads=1)
    return root


@pytest.fixture(scope="module")
def cleaned(root, cleaning, tmp_path_factory):
    """The cleaned folder."""
    out = tmp_path_factory.mktemp("cleaned") / "clean"
    clean(root, cleaning, out)
    return out


def test_every_planted_flaw_is_caught_and_sound_items_are_kept(root, cleaned):
    summary = read_json(cleaned / "summary.json")
    assert summary["flaws"]["missed"] == []
    assert summary["flaws"]["planted"] == 7
    rejected = {row["id"] for row in read_jsonl(cleaned / "rejects.jsonl")}
    assert sum(not i.startswith("flawed") for i in rejected) <= 2
    kept = open_utterances(cleaned)
    assert len(kept) == summary["kept"] == summary["items"] - len(rejected)
    used = {i for d in open_dialogues(cleaned) for t in d.turns for i in t.utterances}
    assert used <= set(kept)
    assert all((root / u.audio).is_file() for u in kept.values())


def test_cleaning_does_not_depend_on_the_number_of_processes(root, cleaned, cleaning, tmp_path):
    clean(root, cleaning.model_copy(update={"threads": 2}), tmp_path / "two")
    assert tree_digest(tmp_path / "two") == tree_digest(cleaned)


def test_too_many_rejects_fail_with_reasons(root, cleaning, tmp_path):
    strict = cleaning.model_copy(update={"duration_s": [5.0, 6.0], "max_reject_share": 0.2})
    with pytest.raises(ValueError, match=r"items are rejected, allowed is 20\.0%; .*duration"):
        clean(root, strict, tmp_path / "out")


def test_corpus_does_not_depend_on_the_number_of_processes(root, few, tmp_path):
    collect(few, tmp_path, threads=2)
    assert tree_digest(tmp_path) == tree_digest(root)
