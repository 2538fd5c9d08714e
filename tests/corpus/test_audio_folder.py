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
        ("dialogues.jsonl", '{"turns": [{"role": "me"}]}', "line 1: role is 'me'"),
        ("dialogues.jsonl", '{"turns": [{"role": "user", "audio": "x"}]}', "audio is 'x'"),
    ],
)
def test_wrong_tables_are_named(recordings, name, content, message):
    (recordings / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        collect(recordings)


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
