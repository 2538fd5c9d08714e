from pathlib import Path

import numpy as np
import pytest
import soundfile

from moss_speech.audio import write_audio
from moss_speech.inference.ask import ask
from tests.tiny_bundle import spoken


@pytest.fixture
def question(tmp_path: Path) -> Path:
    path = tmp_path / "question.wav"
    write_audio(path, spoken(rate_hz=22050), 22050)
    return path


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_answer_is_written_as_its_ending_says(
    bundle_folder: Path, question: Path, tmp_path: Path, ending: str
) -> None:
    answer = tmp_path / f"answer.{ending}"
    result = ask(bundle_folder, question, answer, seed=1)
    info = soundfile.info(answer)
    assert (info.format, info.samplerate) == (ending.upper(), 24000)
    assert info.frames == result.reply.audio.size > 0


def test_without_an_answer_file_the_reply_is_text(bundle_folder: Path, question: Path) -> None:
    result = ask(bundle_folder, question, None, seed=1)
    assert result.answer is None
    assert result.reply.text
    assert result.reply.audio.size == 0


def test_bad_question_or_ending_leaves_no_answer_behind(
    bundle_folder: Path, question: Path, tmp_path: Path
) -> None:
    silent, answer = tmp_path / "silent.wav", tmp_path / "answer.wav"
    write_audio(silent, np.zeros(16000, np.float32), 16000)
    with pytest.raises(ValueError, match="the audio is silent"):
        ask(bundle_folder, silent, answer)
    with pytest.raises(ValueError, match=r"missing\.wav is missing"):
        ask(bundle_folder, tmp_path / "missing.wav", answer)
    with pytest.raises(ValueError, match=r"must end in \.wav or \.flac"):
        ask(bundle_folder, question, tmp_path / "answer.ogg")
    with pytest.raises(ValueError, match="is no bundle"):
        ask(tmp_path, question, answer)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["question.wav", "silent.wav"]
