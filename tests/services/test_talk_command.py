"""`moss-speech talk` and `bench serve` against a real server with a tiny model."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result
from typer.testing import CliRunner

from moss_speech.audio import Samples, write_audio
from moss_speech.cli import app
from moss_speech.client.dialogue import Turn
from moss_speech.client.line import RATE_HZ, ServiceError, connected, settings_of
from moss_speech.client.talk import Microphone
from moss_speech.settings import settings
from tests.services.access.guarded import command
from tests.services.conftest import Server, free_port, serving
from tests.tiny_bundle import spoken

pytestmark = pytest.mark.timeout(400)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("question") / "question.wav"
    write_audio(path, spoken(rate_hz=22050), 22050)
    return path


def turns_of(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("turns", ["vad", "manual"])
def test_recordings_are_asked_one_after_another(
    server: Server, question: Path, tmp_path: Path, turns: str
) -> None:
    out = tmp_path / "answers.wav"
    result = run(
        "talk", "--url", server.url, "--file", question, "--file", question, "--out", out,
        "--turns", turns, "--json",
    )  # fmt: skip
    first, second = turns_of(result)
    assert (first["turn"], second["turn"]) == (1, 2)
    assert len({t[k] for t in (first, second) for k in ("response_id", "answer_item_id")}) == 4
    for turn in (first, second):
        assert turn["status"] in ("completed", "incomplete")
        assert 0 < float(str(turn["from_turn_end_s"])) < float(str(turn["from_speech_end_s"]))
        assert turn["model_version"] == "local"
    if turns == "manual":
        length_s = soundfile.info(question).duration
        assert first["question_s"] == pytest.approx(length_s, abs=0.01)
    heard, rate_hz = soundfile.read(out)
    said_s = float(str(first["audio_s"])) + float(str(second["audio_s"]))
    assert len(heard) / rate_hz == pytest.approx(said_s, abs=0.01)
    assert np.abs(heard).max() > 0


def test_answers_in_text_to_a_recording_that_is_sent_at_once(
    server: Server, question: Path
) -> None:
    words = ("talk", "--url", server.url, "--file", question, "--text", "--fast")
    [turn] = turns_of(run(*words, "--json"))
    assert turn["audio_s"] == 0
    assert turn["text"]
    assert "model local" in run(*words).stdout


class Desk:
    """In place of a microphone and a loudspeaker: what is heard is given, what is played counts."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[Samples] = asyncio.Queue()
        self.played, self.hushed = bytearray(), 0

    def say(self, samples_S: Samples) -> None:
        for start in range(0, samples_S.size, 960):
            self.said.put_nowait(samples_S[start : start + 960])

    async def pieces(self) -> AsyncIterator[Samples]:
        while True:
            try:
                yield self.said.get_nowait()
            except asyncio.QueueEmpty:
                yield np.zeros(960, np.float32)
            await asyncio.sleep(0.04)

    def play(self, data: bytes) -> None:
        self.played += data

    def hush(self) -> float:
        unheard_s = len(self.played) / 2 / RATE_HZ
        self.hushed += unheard_s > 0
        self.played.clear()
        return unheard_s


def test_who_speaks_into_an_answer_is_not_talked_over(server: Server) -> None:
    turns: list[Turn] = []
    errors: list[ServiceError] = []
    desk = Desk()

    async def talk() -> None:
        settings = settings_of("vad", max_output_tokens=600)
        async with connected(server.url, None, settings) as line:
            microphone = Microphone(line, desk, "vad", turns.append)
            task = asyncio.create_task(microphone.run(errors.append))
            desk.say(spoken(rate_hz=RATE_HZ))
            async with asyncio.timeout(60):
                while not desk.played:
                    await asyncio.sleep(0.05)
                desk.say(spoken(rate_hz=RATE_HZ))
                while len(turns) < 1 or not desk.played:
                    await asyncio.sleep(0.05)
            task.cancel()

    asyncio.run(talk())
    assert turns[0].response["status"] == "cancelled"
    assert turns[0].silence_s is not None
    assert desk.hushed >= 1
    assert errors == []  # such as of a truncation beyond what was said


def test_keys_presses_begin_and_end_a_turn(server: Server) -> None:
    turns: list[Turn] = []
    desk = Desk()

    async def talk() -> None:
        async with connected(server.url, None, settings_of("manual")) as line:
            microphone = Microphone(line, desk, "manual", turns.append)
            task = asyncio.create_task(microphone.run(lambda error: pytest.fail(str(error))))
            async with asyncio.timeout(60):
                await microphone.press()
                desk.say(spoken(rate_hz=RATE_HZ))
                while not desk.said.empty():
                    await asyncio.sleep(0.05)
                await microphone.press()
                while not turns:
                    await asyncio.sleep(0.05)
            task.cancel()

    asyncio.run(talk())
    assert turns[0].response["status"] in ("completed", "incomplete")
    assert desk.played == turns[0].audio


def test_what_cannot_be_asked_is_said_in_a_line(
    server: Server, question: Path, tmp_path: Path
) -> None:
    def refused(*words: str | Path) -> str:
        result = run("talk", *words)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        return result.stderr

    at = ("--url", server.url, "--file")
    nobody = f"http://127.0.0.1:{free_port()}"
    assert "no service answers" in refused("--url", nobody, "--file", question)
    assert "is not readable audio" in refused(*at, tmp_path / "none.wav")
    assert "voice is unknown" in refused(*at, question, "--voice", "nobody")
    assert "must end in .wav" in refused(*at, question, "--out", tmp_path / "answer.mp3")
    silence = tmp_path / "silence.wav"
    write_audio(silence, np.zeros(24000, np.float32), 24000)
    assert "no speech was heard" in refused(*at, silence, "--turns", "manual")
    assert "nobody was heard to speak" in refused(*at, silence)


def test_without_a_microphone_recordings_are_the_way() -> None:
    with suppress(OSError):  # no PortAudio
        sounddevice = pytest.importorskip("sounddevice")
        if len(sounddevice.query_devices()):
            pytest.skip("this machine has sound devices")
    result = run("talk")
    assert result.exit_code == 1
    assert "ask with --file" in result.stderr


def test_load_counts_every_answer(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    words = ("bench", "serve", "--url", server.url, "--sessions", "2", "--minutes", "0.15")
    result = run(*words, "--interrupt-every", "2", "--json", out)
    figures = json.loads(out.read_text())
    n_answers = sum(figures["answers"].values())
    assert n_answers >= 2, result.output
    assert figures["from_turn_end_s"]["n"] + figures["silent_answers"] == n_answers
    assert figures["from_speech_end_s"]["p50"] > figures["from_turn_end_s"]["p50"] > 0
    assert figures["errors"] == {}
    assert result.exit_code == (0 if figures["holds_real_time"] else 1)
    clash = run(*words, "--turns", "manual", "--interrupt-every", "1")
    assert "turns must be 'vad'" in clash.stderr


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys and has one place."""
    folder = tmp_path_factory.mktemp("narrow")
    with serving(folder, auth="keys", sessions="1") as running:
        yield running


def test_key_is_asked_for_and_a_full_server_says_when_to_come_again(
    narrow: Server, question: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk(key: str) -> Result:
        monkeypatch.setenv("MOSS_API_KEY", key)
        settings.cache_clear()
        return run("talk", "--url", narrow.url, "--file", question, "--text")

    async def talk_beside_another(key: str) -> Result:
        async with connected(narrow.url, key, {}):
            return await asyncio.to_thread(talk, key)

    key = command(narrow, "add", "main")
    try:
        assert "set MOSS_API_KEY" in talk("ms-wrong").stderr
        assert talk(key).exit_code == 0
        busy = asyncio.run(talk_beside_another(key))
        assert busy.exit_code == 1
        assert "try again in 1 s" in busy.stderr
    finally:
        settings.cache_clear()
