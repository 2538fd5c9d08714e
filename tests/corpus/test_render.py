import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.audio import SPEAKING, read_audio
from moss_speech.corpus.sources.embedded import plan_embedded
from moss_speech.corpus.sources.lines import Scene
from moss_speech.corpus.sources.render import (
    blocks_of,
    render,
    rms_db,
    set_scene,
    with_throat,
)

HZ = SPEAKING.sample_rate_hz


def tone(seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * 440 * np.arange(int(seconds * HZ)) / HZ).astype(np.float32)


@pytest.fixture(scope="module")
def lines(few):
    programs = [x for x in plan_embedded(few, 1).lines if x.synthesizer in ("espeak-ng", "flite")]
    assert {x.flaw for x in programs} > {None, "clipped"}
    return programs


def test_every_line_is_in_one_block_of_its_synthesizer(lines):
    blocks = blocks_of(lines, seed=1)
    spoken = [line.id for block in blocks for line in block.lines]
    assert sorted(spoken) == sorted(line.id for line in lines)
    assert all(len({x.synthesizer for x in block.lines}) == 1 for block in blocks)
    assert len({block.seed for block in blocks}) == len(blocks)


def test_neural_blocks_keep_their_seed_when_programs_say_more(few):
    lines = plan_embedded(few, 1).lines
    neural = [x for x in lines if x.synthesizer == "piper"]
    alone = blocks_of(neural, 1)
    assert [b for b in blocks_of(lines, 1) if b.lines[0].synthesizer == "piper"] == alone


@given(level=st.floats(-40, -12), before=st.floats(0, 0.3), after=st.floats(0, 0.3))
def test_scene_keeps_level_and_pauses(level, before, after):
    out = set_scene(tone(), Scene(level, pause_before_s=before, pause_after_s=after), seed=1)
    assert len(out) == len(tone()) + int(before * HZ) + int(after * HZ)
    speech = out[int(before * HZ) : int(before * HZ) + len(tone())]
    assert rms_db(speech) == pytest.approx(level, abs=0.05)


@given(snr=st.floats(5, 35), tilt=st.floats(0, 2))
def test_noise_lies_at_the_wanted_distance(snr, tilt):
    scene = Scene(-25.0, noise_tilt=tilt, snr_db=snr)
    quiet = dataclasses.replace(scene, snr_db=None)
    noise = set_scene(tone(), scene, 3) - set_scene(tone(), quiet, 3)
    assert -25.0 - rms_db(noise) == pytest.approx(snr, abs=0.1)


def test_longer_throat_is_deeper_and_slower():
    def pitch_hz(samples: np.ndarray) -> float:
        return float(np.argmax(np.abs(np.fft.rfft(samples)))) * HZ / len(samples)

    assert pitch_hz(with_throat(tone(), 1.1)) == pytest.approx(400, abs=3)
    assert len(with_throat(tone(), 1.1)) == pytest.approx(1.1 * len(tone()), abs=2)
    np.testing.assert_array_equal(with_throat(tone(), 1.0), tone())


def test_flaws_are_what_they_say(lines, tmp_path):
    flawed = [x for x in lines if x.flaw is not None]
    render(flawed, tmp_path, seed=1, processes=1)
    path = {x.flaw: tmp_path / f"{x.id}.flac" for x in flawed}
    assert not read_audio(path["silent"], HZ).any()
    assert np.mean(np.abs(read_audio(path["clipped"], HZ)) > 0.999) > 0.1
    assert rms_db(read_audio(path["quiet"], HZ)) < -70
    assert {x.flaw: x.written for x in flawed if x.written is not None} == {
        "wrong_transcript": "no",
        "empty_text": "",
    }
    with pytest.raises(ValueError, match="truncated"):
        read_audio(path["truncated"], HZ)
