import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from moss_speech.audio import SPEAKING, read_audio, write_audio
from moss_speech.corpus.items import Dialogue
from moss_speech.corpus.sources import human
from moss_speech.corpus.sources.audio_folder import AudioFolder
from moss_speech.corpus.sources.human import collect_human
from moss_speech.corpus.sources.intake import Intake
from moss_speech.corpus.sources.manifests import Item, Quarantined
from moss_speech.params.sources import Folder, SplitShares
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.programs import Flite

HZ = SPEAKING.sample_rate_hz
SAID = {"ask.wav": "what color is grass", "tell.flac": "it is green"}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two recordings of 16 kHz with long silence around them, in a folder of the root."""
    folder = tmp_path / "My Voice"
    folder.mkdir()
    for name, text in SAID.items():
        speech = Flite().say(text, "slt", Manner())
        write_audio(folder / name, np.pad(speech, 2 * HZ), HZ)
    return folder


class Found:
    """What the reader of a folder finds, its audio imported afresh below the folder's parent."""

    def __init__(self, folder: Path, **changes: object) -> None:
        audio = folder.parent / "audio"
        shutil.rmtree(audio, ignore_errors=True)
        audio.mkdir()
        values = {"kind": "folder", "name": "my_voice", "path": folder.name, "licence": "CC0"}
        values |= {"consent": "said yes", "split": "train", "import": True, "language": "en"}
        values |= {"speaker": "ann"} | changes
        source = Folder.model_validate({k: v for k, v in values.items() if v is not None})
        shares = SplitShares(train=0.5, dev=0.25, test=0.25)
        reader = AudioFolder(source, Intake(source, folder.parent, shares, audio))
        found = list(reader.items())
        self.items: list[Item] = [x for x in found if isinstance(x, Item)]
        self.quarantined: list[Quarantined] = [x for x in found if isinstance(x, Quarantined)]
        self.dialogues: list[Dialogue] = list(reader.dialogues())


collect = Found


def test_transcripts_come_from_text_files_and_table(recordings):
    (recordings / "ask.txt").write_text("What colour is grass?\n")
    (recordings / "metadata.csv").write_text('file,text\ntell.flac,"It is green."\n')
    collected = collect(recordings)
    assert {i.id: i.text for i in collected.items} == {
        "my_voice-ask": "what color is grass",
        "my_voice-tell": "it is green",
    }
    assert {i.speaker for i in collected.items} == {"ann"}


def test_silence_around_the_speech_is_cut(recordings):
    collected = collect(recordings)
    for item in collected.items:
        whole = (
            len(read_audio(recordings / f"{item.id.split('-')[1]}.wav", HZ))
            if (recordings / f"{item.id.split('-')[1]}.wav").exists()
            else len(read_audio(recordings / f"{item.id.split('-')[1]}.flac", HZ))
        )
        assert item.n_samples < whole - 3 * HZ
        assert len(read_audio(recordings.parent / "audio" / item.file, HZ)) == item.n_samples


def test_recordings_without_transcript_are_left_to_cleaning(recordings):
    (recordings / "ask.txt").write_text("what color is grass")
    items = {i.id: i for i in collect(recordings).items}
    words = {name: (i.text, i.tags["transcript"]) for name, i in items.items()}
    assert words == {
        "my_voice-ask": ("what color is grass", "given"),
        "my_voice-tell": ("", "missing"),
    }


def test_audio_stays_where_it_is_unless_it_is_imported(recordings):
    found = collect(recordings, **{"import": False})
    assert [i.file for i in found.items] == [str(recordings / n) for n in ("ask.wav", "tell.flac")]
    assert not list((recordings.parent / "audio").iterdir())
    ask = found.items[0]
    assert ask.n_samples == len(read_audio(recordings / "ask.wav", ask.sample_rate_hz))


def test_speakers_are_named_by_folder_or_column_and_split_by_their_name(recordings):
    for speaker in ("ann", "bob"):
        (recordings / speaker).mkdir()
    (recordings / "ask.wav").rename(recordings / "ann" / "ask.wav")
    found = collect(recordings, speaker=None, speaker_folder=1, split="auto")
    assert [i.speaker for i in found.items] == ["my_voice:ann"]
    assert [(q.item, q.reason) for q in found.quarantined] == [("tell.flac", "speaker")]
    (recordings / "metadata.jsonl").write_text(
        json.dumps({"file": "tell.flac", "text": "it is green", "who": "bob"})
    )
    found = collect(recordings, speaker=None, speaker_column="who", split="auto")
    assert [(i.speaker, i.text) for i in found.items] == [("my_voice:bob", "it is green")]
    again = collect(recordings, speaker=None, speaker_column="who", split="auto")
    assert found.items[0].voice_split == again.items[0].voice_split
    assert found.items[0].voice_split == found.items[0].text_split


def test_damaged_file_is_quarantined_and_the_rest_goes_through(recordings):
    (recordings / "broken.wav").write_bytes(b"RIFF but no more")
    found = collect(recordings)
    assert len(found.items) == 2
    assert [(q.item, q.reason) for q in found.quarantined] == [("broken", "unreadable")]


def test_dialogues_give_roles_and_typed_turns(recordings):
    turns = [{"role": "user", "audio": "ask.wav"}, {"role": "assistant", "audio": "tell.flac"}]
    typed = [{"role": "user", "text": "Say it!"}, {"role": "assistant", "audio": "tell.flac"}]
    rows = [{"turns": turns}, {"turns": typed}]
    (recordings / "dialogues.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (recordings / "ask.txt").write_text(SAID["ask.wav"])
    (recordings / "tell.txt").write_text(SAID["tell.flac"])
    collected = collect(recordings)
    assert {i.id: i.role for i in collected.items} == {
        "my_voice-ask": "question",
        "my_voice-tell": "answer",
    }
    spoken, written = collected.dialogues
    assert [t.utterances for t in spoken.turns] == [("my_voice-ask",), ("my_voice-tell",)]
    assert [t.text for t in written.turns] == ["say it", "it is green"]
    assert written.turns[0].utterances == ()


def test_words_of_a_turn_are_the_transcript_of_its_recording_unless_it_has_one(recordings):
    """So that cleaning compares them with what is heard; `tell.txt` goes before the turn."""
    (recordings / "tell.txt").write_text("it is green indeed")
    turns = [
        {"role": "user", "audio": "ask.wav", "text": "What color is grass?"},
        {"role": "assistant", "audio": "tell.flac", "text": "it is green"},
    ]
    (recordings / "dialogues.jsonl").write_text(json.dumps({"turns": turns}))
    found = collect(recordings)
    assert {i.id: (i.text, i.tags["transcript"]) for i in found.items} == {
        "my_voice-ask": ("what color is grass", "given"),
        "my_voice-tell": ("it is green indeed", "given"),
    }


@pytest.mark.parametrize("imported", [True, False])
def test_recording_whose_id_is_taken_touches_neither_the_first_nor_its_dialogue(
    recordings, imported
):
    before = collect(recordings, **{"import": imported}).items[0]
    heard_S = read_audio(recordings.parent / "audio" / before.file, HZ)
    (recordings / "tell.flac").rename(recordings / "ask_.flac")
    turns = [{"role": "user", "audio": "ask_.flac", "text": "it is green"}, TELL]
    (recordings / "dialogues.jsonl").write_text(json.dumps({"turns": turns}))
    found = collect(recordings, **{"import": imported})
    assert [i.id for i in found.items] == ["my_voice-ask"]
    wrong = [(q.item, q.reason, q.value) for q in found.quarantined]
    assert wrong == [("ask_", "duplicate id", "my_voice-ask")]
    again_S = read_audio(recordings.parent / "audio" / found.items[0].file, HZ)
    assert np.array_equal(again_S, heard_S)
    assert found.dialogues[0].turns[0].utterances == (), "not the words of another recording"


def test_copy_is_never_written_over_audio_that_the_corpus_made(recordings):
    found = collect(recordings)
    made = recordings.parent / "audio" / found.items[0].file
    made.write_bytes(b"made before")
    source = Folder.model_validate(
        {"kind": "folder", "name": "my_voice", "path": recordings.name, "undeclared": True}
        | {"speaker": "ann", "import": True}
    )
    shares = SplitShares(train=1.0, dev=0.0, test=0.0)
    reader = AudioFolder(source, Intake(source, recordings.parent, shares, made.parent))
    assert {i.reason for i in reader.items() if isinstance(i, Quarantined)} == {"duplicate id"}
    assert made.read_bytes() == b"made before"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", "path,words\na,b\n", "line 2 has path, words; must have file or file_na"),
        ("metadata.csv", "file,text\nno.wav,a\n", "line 2 names 'no.wav', which is not in the fo"),
    ],
)
def test_wrong_tables_are_named(recordings, name, content, message):
    (recordings / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        collect(recordings)


ASK, TELL = {"role": "user", "audio": "ask.wav"}, {"role": "assistant", "text": "it is green"}


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([{**ASK, "audio": "x.wav"}, TELL], "turns.0.audio is 'x.wav', must be an audio file"),
        ([ASK, {**TELL, "audio": "x.wav"}], "turns.1.audio is 'x.wav', must be an audio file"),
        (
            [{**ASK, "audio": "../ask.wav"}, TELL],
            r"turns.0.audio names '../ask.wav', must be a path inside",
        ),
        (
            [{**ASK, "txt": "a"}, TELL],
            "turns.0 .*key 'txt' must be one of role, text, audio, speaker",
        ),
        ([{"role": "user"}, TELL], "turns.0 has neither text nor audio, must have one or both"),
        ([ASK, {**TELL, "text": "?!"}], r"turns.1.text is '\?!', must hold at least one word"),
        ([ASK, ASK], "turns.1.role is 'user', must be 'assistant': the sides alternate"),
        ([TELL, ASK], "turns.0.role is 'assistant', must be 'user'"),
        ([ASK], "the last turn is by 'user', must be by 'assistant'"),
        ([ASK, TELL, ASK], "the last turn is by 'user', must be by 'assistant'"),
        ([{**ASK, "role": "me"}, TELL], "turns.0.role is 'me': Input should be 'user' or 'assist"),
        ([{**ASK, "audio": 3}, TELL], "turns.0.audio is 3: Input should be a valid string"),
        ([], r"turns is \[\]: List should have at least 1 item"),
    ],
)
def test_wrong_dialogue_is_refused_by_file_line_and_value_before_any_audio_is_read(
    recordings, turns, message
):
    rows = [{"turns": [ASK, TELL]}, {"turns": turns}]
    (recordings / "dialogues.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ValueError, match=rf"My Voice/dialogues\.jsonl line 2: {message}"):
        collect(recordings)
    assert not list((recordings.parent / "audio").iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"turns": [', "line 1 is not JSON"),
        ('{"turn": []}', "key 'turn' must be one of turns"),
        ("[]", "line 1 is a list, must be a JSON object"),
    ],
)
def test_line_that_is_no_dialogue_is_named(recordings, content, message):
    (recordings / "dialogues.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message):
        collect(recordings)


def test_folder_of_typed_dialogues_and_recordings_in_folders_below_it(recordings):
    (recordings / "clips").mkdir()
    (recordings / "ask.wav").rename(recordings / "clips" / "ask.wav")
    (recordings / "tell.flac").unlink()
    turns = [{**ASK, "audio": "clips/ask.wav"}, TELL, {"role": "user", "text": "why"}, TELL]
    (recordings / "dialogues.jsonl").write_text(json.dumps({"turns": turns}))
    (recordings / "clips" / "ask.txt").write_text(SAID["ask.wav"])
    found = collect(recordings)
    assert [(i.id, i.text) for i in found.items] == [("my_voice-clips_ask", SAID["ask.wav"])]
    exchanges = found.dialogues[0].exchanges
    assert [(a.text, b.text) for a, b in exchanges] == [
        (SAID["ask.wav"], "it is green"),
        ("why", "it is green"),
    ]
    assert exchanges[0][0].utterances == ("my_voice-clips_ask",)
    (recordings / "clips" / "ask.wav").unlink()
    (recordings / "dialogues.jsonl").write_text(json.dumps({"turns": turns[2:]}))
    typed = collect(recordings)
    assert typed.items == [] and len(typed.dialogues) == 1


def test_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"folder .*nowhere cannot be read: No such file"):
        collect(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no audio file and no dialogues\.jsonl"):
        collect(tmp_path / "empty")


def test_missing_human_package_gives_no_items_and_says_so(tmp_path, capsys):
    assert collect_human(tmp_path, folder=tmp_path / "none").items == []
    assert "apt-get install pocketsphinx-testdata" in capsys.readouterr().out


@pytest.mark.skipif(not human.FOLDER.is_dir(), reason="pocketsphinx-testdata is not installed")
def test_human_clips_are_tests_only_and_not_for_redistribution(tmp_path):
    collected = collect_human(tmp_path)
    assert len(collected.items) == 11
    assert {(i.role, i.voice_split, i.text_split) for i in collected.items} == {
        ("human", "test", "test")
    }
    assert not collected.source.redistribute
    assert all((tmp_path / i.file).is_file() for i in collected.items)
