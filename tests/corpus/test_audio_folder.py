import json
from pathlib import Path

import numpy as np
import pytest

from moss_speech.audio import SPEAKING, read_audio, write_audio
from moss_speech.corpus.sources import human
from moss_speech.corpus.sources.audio_folder import collect_folder
from moss_speech.corpus.sources.human import collect_human
from moss_speech.corpus.sources.manifests import Collected
from moss_speech.params.corpus import Folder
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


def collect(folder: Path) -> Collected:
    audio = folder.parent / "audio"
    audio.mkdir(exist_ok=True)
    terms = {"licence": "CC0", "consent": "said yes", "speaker": "ann", "split": "train"}
    return collect_folder(Folder(path=folder.name, **terms), folder.parent, audio)


def test_transcripts_come_from_text_files_and_table(recordings):
    (recordings / "ask.txt").write_text("What colour is grass?\n")
    (recordings / "metadata.csv").write_text('file,text\ntell.flac,"It is green."\n')
    collected = collect(recordings)
    assert {i.id: i.text for i in collected.items} == {
        "my_voice-ask": "what color is grass",
        "my_voice-tell": "it is green",
    }
    assert collected.source.licence == "CC0" and collected.source.consent == "said yes"
    assert {i.speaker for i in collected.items} == {"ann"}
    assert not collected.source.redistribute


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


def test_recordings_without_transcript_are_written_down(recordings):
    items = {i.id: i for i in collect(recordings).items}
    assert items["my_voice-tell"].text == "it is green"
    assert items["my_voice-tell"].tags["transcript"] == "recognised"


def test_damaged_file_goes_along_for_cleaning_to_reject(recordings):
    (recordings / "broken.wav").write_bytes(b"RIFF but no more")
    (recordings / "broken.txt").write_text("some words")
    item = next(i for i in collect(recordings).items if i.id == "my_voice-broken")
    assert item.n_samples == 1
    assert (recordings.parent / "audio" / item.file).read_bytes() == b"RIFF but no more"


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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", "path,words\n", r"columns \['path', 'words'\], must have file,text"),
        ("metadata.csv", "file,text\nno.wav,a\n", "names 'no.wav', which is not in the folder"),
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
        ([{**ASK, "audio": "x.wav"}, TELL], "turns.0.audio is 'x.wav', must be one of the 2 WAV"),
        ([ASK, {**TELL, "audio": "x.wav"}], "turns.1.audio is 'x.wav', must be one of the 2 WAV"),
        ([{**ASK, "audio": "../ask.wav"}, TELL], r"turns.0.audio is '../ask.wav', must be one"),
        ([{**ASK, "txt": "a"}, TELL], "turns.0 .*key 'txt' must be one of role, text, audio"),
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
        ("[]", "line 1: .* is \\[\\]: Input should be"),
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
    with pytest.raises(ValueError, match=r"nowhere holds no \.wav or \.flac file"):
        collect(tmp_path / "nowhere")


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
