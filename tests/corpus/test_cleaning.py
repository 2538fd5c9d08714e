import dataclasses
from collections import Counter
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
from moss_speech.corpus.clean.withdrawn import (
    REASON,
    Withdrawal,
    check_withdrawn,
    read_withdrawn,
    write_withdrawn,
)
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


def test_speech_of_who_withdrew_is_rejected_unheard_and_their_dialogues_go(
    root, cleaned, cleaning, tmp_path
):
    """The limit on rejects does not count them: to leave somebody out is no fault of the corpus."""
    before = open_utterances(cleaned)
    speakers = Counter(u.speaker for u in before.values())
    gone = speakers.most_common(1)[0][0]
    strict = cleaning.model_copy(update={"max_reject_share": 0.9, "sample": 0})
    out = tmp_path / "clean"
    out.mkdir()
    rule = Withdrawal(speaker=gone)
    summary = clean_corpus(root / "data/corpus", root, strict, 1, out, tmp_path / "blocks", [rule])
    after = open_utterances(out)
    assert gone not in {u.speaker for u in after.values()}
    assert summary["rejected"][REASON] >= speakers[gone]
    rejects = [r for r in read_jsonl(out / "rejects.jsonl") if r["reason"] == REASON]
    assert {r["value"] for r in rejects} == {f"speaker {gone}"}
    ids = {r["id"] for r in rejects}
    for dialogue in open_dialogues(root / "data/corpus"):
        theirs = any(t.utterances and set(t.utterances) <= ids for t in dialogue.turns)
        assert theirs is (dialogue.id not in {d.id for d in open_dialogues(out)})


names = st.sampled_from(["anna", "bert", "team", None])


@given(st.lists(st.tuples(names, names), max_size=4))
def test_withdrawn_items_are_exactly_those_that_a_line_covers(tmp_path_factory, pairs):
    file = tmp_path_factory.mktemp("w") / "withdrawn.jsonl"
    write_withdrawn(file, [Withdrawal(*pair) for pair in pairs if pair != (None, None)])
    read = read_withdrawn(file)
    assert set(read) == {Withdrawal(*pair) for pair in pairs} - {Withdrawal()}
    items = [
        item(f"{speaker}-{source}", speaker=speaker, tags={"source": source})
        for speaker in ("anna", "bert", "carl")
        for source in ("team", "bert")
    ]
    rejected = {u.id for u in items if check_withdrawn(u, read)}
    for u in items:
        named = {(None, u.speaker), (u.tags["source"], None), (u.tags["source"], u.speaker)}
        assert (u.id in rejected) is bool(named & set(pairs))
