import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.inference.questions import LIMITS, check_question, loudest_dbfs, read_question
from moss_speech.inference.turns import QuestionError, Turn
from tests.tiny_bundle import speech_like

RATE_HZ = 16000


def refusal(samples: np.ndarray, rate_hz: int = RATE_HZ) -> QuestionError:
    with pytest.raises(QuestionError) as caught:
        check_question(samples.astype(np.float32), rate_hz, LIMITS)
    return caught.value


def test_each_unusable_question_is_refused_with_value_and_range() -> None:
    fine = speech_like(1.0, RATE_HZ)
    broken = fine.copy()
    broken[7] = np.nan
    cases: dict[str, tuple[np.ndarray, str]] = {
        "audio_empty": (np.zeros(0), "must be mono with samples"),
        "audio_too_short": (fine[:1600], "lasts 0.10 s, must be 0.2..30 s"),
        "audio_too_long": (np.tile(fine, 31), "lasts 31.0 s, must be 0.2..30 s"),
        "audio_silent": (np.zeros(RATE_HZ), "must reach -60 dBFS"),
        "audio_not_finite": (broken, "1 NaN or infinite samples"),
    }
    for code, (samples, message) in cases.items():
        error = refusal(samples)
        assert error.code == code
        assert message in str(error)
    check_question(fine, RATE_HZ, LIMITS)


def test_ten_minutes_are_refused_with_the_limit() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(600 * 8000, np.float32), 8000, format="FLAC")
    file.seek(0)
    with pytest.raises(QuestionError, match=r"lasts 600\.0 s, must be 0\.2\.\.30 s"):
        read_question(file)


def test_quiet_hiss_counts_as_silence() -> None:
    hiss = np.random.default_rng(0).normal(0, 1e-4, RATE_HZ)
    assert refusal(hiss).code == "audio_silent"


@given(level=st.floats(-50, 0), start=st.integers(0, RATE_HZ // 2))
def test_level_is_that_of_the_loudest_moment(level: float, start: int) -> None:
    samples = np.zeros(RATE_HZ, np.float32)
    samples[start : start + 1280] = 10 ** (level / 20)
    assert loudest_dbfs(samples, RATE_HZ) == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize("content", [b"", b"hello, I am text", b"RIFF\x00\x00\x00\x00WAVE"])
def test_file_that_is_not_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "question.wav"
    path.write_bytes(content)
    with pytest.raises(QuestionError, match=r"question\.wav"):
        read_question(path)


@pytest.mark.parametrize(("rate_hz", "kind"), [(8000, "WAV"), (48000, "FLAC"), (44100, "MP3")])
def test_recordings_of_any_rate_and_kind_are_read(rate_hz: int, kind: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, speech_like(1.0, rate_hz), rate_hz, format=kind)
    file.seek(0)
    assert read_question(file).size == pytest.approx(RATE_HZ, rel=0.1)


def test_turn_holds_exactly_one_kind_of_content() -> None:
    with pytest.raises(QuestionError, match="user turn holds nothing, must hold one"):
        Turn("user")
    with pytest.raises(QuestionError, match="holds text and codes, must hold one"):
        Turn("assistant", text="yes", codes=(1,))
    with pytest.raises(QuestionError, match="needs its rate"):
        Turn("user", audio=np.ones(3, np.float32))
