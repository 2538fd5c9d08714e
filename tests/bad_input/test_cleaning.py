"""Every kind of bad item ends in the reject table with its reason; the good one is kept."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from moss_speech.corpus.clean.run import clean_corpus
from moss_speech.corpus.items import open_utterances
from moss_speech.params.base import load_section, validate_section
from moss_speech.params.clean import Clean
from moss_speech.storage import read_json, read_jsonl
from tests.bad_input.corpora import GOOD, RATE_HZ, SmallCorpus, small_corpus, speech

PRESETS = Path(__file__).parents[2] / "presets"
P = load_section(PRESETS / "demo.yaml", "clean", Clean).model_copy(
    update={
        "threads": 1,
        "sample": 0,
        "max_reject_share": 1.0,
        "min_sample_rate_hz": 16_000,
        "channels": "mono",
        "personal_data": "reject",
        "max_same_text": 2,
    }
)
BAD = "bad"
OTHER = "the opposite of big is small"
LONG = "the quick brown fox jumps over the lazy dog and then it runs away"
RANDOM = np.random.default_rng(0)
Make = Callable[[SmallCorpus], None]


def file_of(content: bytes, name: str = "bad.wav") -> Make:
    def make(corpus: SmallCorpus) -> None:
        corpus.audio(name).write_bytes(content)
        corpus.declare(BAD, corpus.audio(name))

    return make


def sound(samples_S: np.ndarray, **declared: object) -> Make:
    return lambda corpus: corpus.say(BAD, np.asarray(samples_S, np.float32), **declared)


def declared(**what: object) -> Make:
    """A real recording of which the manifest says something else."""
    return sound(speech(OTHER), text=OTHER, **what)


def text(words: str, **custom: str) -> Make:
    return sound(speech(OTHER), text=words, **custom)


def truncated(corpus: SmallCorpus) -> None:
    path = corpus.audio("bad.flac")
    soundfile.write(path, speech(OTHER), RATE_HZ)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    corpus.declare(BAD, path, seconds=len(speech(OTHER)) / RATE_HZ)


def at(path: str) -> Make:
    return lambda corpus: corpus.declare(BAD, path)


def special(make: Callable[[Path], None]) -> Make:
    def add(corpus: SmallCorpus) -> None:
        make(corpus.audio("bad.wav"))
        corpus.declare(BAD, corpus.audio("bad.wav"))

    return add


def other_held_out(corpus: SmallCorpus, **what: str) -> None:
    corpus.say("held-out", speech(LONG, "slt"), text=LONG, **{"speaker": "bob"} | what)


def voice_leak(corpus: SmallCorpus) -> None:
    other_held_out(corpus, speaker="eve", voice_split="test")
    corpus.say(BAD, speech(OTHER), text=OTHER, speaker="eve")


def wording_leak(corpus: SmallCorpus) -> None:
    other_held_out(corpus, text_split="test")
    corpus.say(BAD, speech(LONG), text=LONG.title())


def near_leak(corpus: SmallCorpus) -> None:
    other_held_out(corpus, text_split="dev")
    corpus.say(BAD, speech(LONG), text=LONG.replace("lazy", "sleepy"))


def third_time(corpus: SmallCorpus) -> None:
    for id_, voice in (("once", "slt"), ("twice", "awb"), (BAD, "kal16")):
        corpus.say(id_, speech(OTHER, voice), text=OTHER)


def spoken_elsewhere(corpus: SmallCorpus) -> None:
    corpus.say("once", speech(OTHER), text=OTHER)
    corpus.say(BAD, 0.5 * speech(OTHER), text=OTHER, speaker="someone else")


def dialogue(*texts: str, utterances: tuple[str, ...] = ()) -> Make:
    def make(corpus: SmallCorpus) -> None:
        said = [
            {"role": role, "text": words, "utterances": list(utterances)}
            for role, words in zip(("user", "assistant"), texts, strict=True)
        ]
        corpus.dialogues.append({"id": BAD, "split": "train", "turns": said, "tags": {}})

    return make


NOISE = 0.1 * RANDOM.standard_normal(2 * RATE_HZ)
TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ)
NAN = np.where(np.arange(RATE_HZ) == 7, np.nan, 0.1)
INFINITE = np.where(np.arange(RATE_HZ) == 7, np.inf, 0.1)

KINDS: list[tuple[str, Make, str]] = [
    ("file of zero bytes", file_of(b""), "decode"),
    ("text under the name of a recording", file_of(b"not audio at all\n" * 100), "decode"),
    ("random bytes", file_of(RANDOM.bytes(5000)), "decode"),
    ("header without a body", file_of(b"RIFF\x24\x00\x00\x00WAVEfmt "), "decode"),
    ("zip under the name of a recording", file_of(b"PK\x03\x04" + bytes(500)), "decode"),
    ("page under the name of an mp3", file_of(b"<html></html>", "bad.mp3"), "decode"),
    ("half of a file", truncated, "decode"),
    ("recording of zero samples", sound(np.zeros(0), seconds=1.0), "decode"),
    ("NaN among the samples", sound(NAN, subtype="FLOAT"), "decode"),
    ("infinity among the samples", sound(INFINITE, subtype="FLOAT"), "decode"),
    ("integers in floats", sound(speech() * 1e9, subtype="FLOAT"), "decode"),
    ("missing file", at("nowhere.wav"), "decode"),
    ("path that climbs out of the project", at("../../../../etc/passwd"), "decode"),
    ("path with a zero byte", at("a\0b.wav"), "decode"),
    ("path of 5,000 letters", at("a" * 5000), "decode"),
    ("device without an end", at("/dev/zero"), "decode"),
    ("link to itself", special(lambda path: path.symlink_to(path)), "decode"),
    ("link to nothing", special(lambda path: path.symlink_to("gone.wav")), "decode"),
    ("folder under the name of a recording", special(Path.mkdir), "decode"),
    ("pipe that nobody writes to", special(os.mkfifo), "decode"),
    ("declared longer than it is", declared(seconds=9.0), "decode"),
    ("declared shorter than it is", declared(seconds=0.5), "decode"),
    ("negative duration", declared(seconds=-1.0), "duration"),
    ("duration of zero", declared(seconds=0.0), "duration"),
    ("ten hours declared, two seconds there", declared(seconds=36_000.0), "decode"),
    ("turn longer than allowed", sound(np.tile(speech(), 20), role="answer"), "duration"),
    ("shorter than allowed", sound(speech()[12_000:18_000]), "duration"),
    ("rate below the least", sound(speech(), rate_hz=8000), "sample rate"),
    ("stereo where mono is asked for", declared(channels=2), "channels"),
    ("language that nobody names", declared(language=""), "language"),
    ("digital silence", sound(np.zeros(2 * RATE_HZ)), "loudness"),
    ("far too quiet", sound(speech() * 1e-3, subtype="FLOAT"), "loudness"),
    ("nothing but an offset", sound(np.full(2 * RATE_HZ, 0.5)), "speech"),
    ("clipped", sound(np.clip(speech() * 60, -1, 1)), "clipping"),
    ("noise without speech", sound(NOISE), "speech"),
    ("a steady tone", sound(TONE), "speech"),
    ("empty transcript", text(""), "text"),
    ("transcript of punctuation", text("?!… -- ***"), "text"),
    ("transcript of control characters", text("\x00\x01\u202e\ufeff"), "text"),
    ("transcript of one megabyte", text("word " * 200_000), "agreement"),
    ("transcript of another recording", text("a " * 2), "agreement"),
    ("missing transcript of noise", sound(NOISE, text="", transcript="missing"), "speech"),
    (
        "missing transcript in a language that the recogniser lacks",
        lambda c: c.say(BAD, speech(OTHER), text="", language="zh", transcript="missing"),
        "recogniser",
    ),
    (
        "an hour of silence without words",
        sound(np.zeros(3600 * 100), rate_hz=16_000, text="", transcript="none"),
        "speech",
    ),
    ("the same file again", lambda c: c.say(BAD, speech()), "duplicate"),
    (
        "the same sound with other words",
        lambda c: c.say(BAD, speech(), text="thank you very much"),
        "agreement",
    ),
    ("the same sound, quieter, of another person", spoken_elsewhere, "duplicate"),
    ("a voice of the test in training", voice_leak, "voice leak"),
    ("a wording of the test in training", wording_leak, "wording leak"),
    ("a wording near one of the dev set", near_leak, "wording leak"),
    ("the same words too often", third_time, "repeated text"),
    ("e-mail address", text("write to jane at example dot com"), "personal data"),
    ("phone number", text("call me at +49 170 1234567"), "personal data"),
    ("bank account", text("iban de89370400440532013000"), "personal data"),
    ("payment card", text("it is 4111 1111 1111 1111"), "personal data"),
    ("dialogue with a phone number", dialogue("call 555-1234", "yes"), "personal data"),
    ("dialogue without words", dialogue("", "yes"), "turn"),
    (
        "dialogue whose recordings do not exist",
        dialogue("", "yes", utterances=("nobody",)),
        "turn",
    ),
]


@pytest.mark.parametrize(("make", "reason"), [k[1:] for k in KINDS], ids=[k[0] for k in KINDS])
def test_bad_item_is_rejected_by_reason_and_the_good_one_kept(
    make: Make, reason: str, tmp_path: Path
) -> None:
    corpus = small_corpus(tmp_path)
    make(corpus)
    out = tmp_path / "clean"
    out.mkdir()
    summary = clean_corpus(corpus.write(), tmp_path, P, 1, out, tmp_path / "blocks")
    rows = {row["id"]: row for row in read_jsonl(out / "rejects.jsonl")}
    assert rows[BAD]["reason"] == reason
    assert rows[BAD]["value"] and rows[BAD]["allowed"]
    assert (summary["rejected"] | summary["dialogues"]["rejected"])[reason] == 1
    assert GOOD in open_utterances(out) and len(rows) == 1
    assert read_json(out / "summary.json") == summary


PARAMS: list[tuple[str, dict[str, object], str]] = [
    ("unknown key", {"denoise": True}, "clean.denoise is True"),
    ("bounds the wrong way round", {"duration_s": [9.0, 1.0]}, "must be [low, high]"),
    ("one bound", {"loudness_lufs": [-20.0]}, "clean.loudness_lufs is [-20.0]"),
    ("NaN as a bound", {"duration_s": [float("nan"), 1.0]}, "clean.duration_s"),
    ("no recogniser", {"recognisers": []}, "clean.recognisers is []"),
    ("the same recogniser twice", {"recognisers": ["sphinx", "sphinx"]}, "different recognisers"),
    ("a recogniser that nobody knows", {"recognisers": ["siri"]}, "'siri'"),
    ("three recognisers", {"recognisers": ["sphinx", "whisper-base", "whisper-tiny.en"]}, "2"),
    ("distance of half the bits", {"duplicate_distance": 0.5}, "less than or equal to 0.1"),
    ("texts near by more than a third", {"near_text": 0.9}, "less than or equal to 0.3"),
    ("no text at all allowed", {"max_same_text": 0}, "greater than or equal to 1"),
    ("rate of one", {"min_sample_rate_hz": 1}, "greater than or equal to 4000"),
    ("a channel by side", {"channels": "left"}, "'named' or 'mono'"),
    ("switch instead of a word", {"personal_data": False}, "'keep' or 'reject'"),
    ("a negative sample", {"sample": -1}, "greater than or equal to 0"),
    ("language that may never differ", {"max_other_language": 0.0}, "greater than 0"),
    ("share above one", {"max_reject_share": 1.5}, "less than or equal to 1"),
    ("quality of ten", {"min_quality": 10.0}, "less than or equal to 5"),
    ("text for a number", {"min_speech_s": "much"}, "'much'"),
]


@pytest.mark.parametrize(("change", "words"), [k[1:] for k in PARAMS], ids=[k[0] for k in PARAMS])
def test_bad_params_are_refused_by_key_value_and_limit(
    change: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError) as refused:
        validate_section(P.model_dump() | change, Clean, "params.yaml: clean")
    assert words in str(refused.value) and "clean." in str(refused.value)
