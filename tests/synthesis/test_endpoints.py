"""Language models and synthesisers by address, against a real HTTP server on this machine."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moss_speech.audio import write_audio
from moss_speech.corpus.synthesis.collect import plan
from moss_speech.corpus.synthesis.converse import Planned
from moss_speech.corpus.synthesis.rows import Dropped
from moss_speech.settings import settings
from moss_speech.speech import endpoint
from moss_speech.speech.endpoint import EndpointError, ask
from moss_speech.speech.voices.base import Manner
from moss_speech.speech.voices.engines import open_synthesiser
from moss_speech.storage import write_jsonl
from tests.synthesis.sources import instructions

Reply = tuple[int, dict[str, str], bytes]


class Server:
    """Answers by a function of the body; keeps what was asked."""

    def __init__(self, answer: Callable[[int, Any], Reply]) -> None:
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.answer, self.url = answer, ""


@contextmanager
def serving(answer: Callable[[int, Any], Reply]) -> Iterator[Server]:
    server = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append((dict(self.headers), body))
            status, headers, content = server.answer(len(server.asked), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_FIRST_PAUSE_S", 0.01)


def completion(text: str) -> Reply:
    content = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    return 200, {}, json.dumps(content).encode()


def test_busy_service_is_asked_again_and_told_the_key(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOSS_ENDPOINT_KEY", "secret-of-ours")
    settings.cache_clear()
    replies = [(429, {"Retry-After": "0.2"}, b""), (503, {}, b"busy"), (200, {}, b"fine")]
    with serving(lambda n, _: replies[n - 1]) as server:
        begin = time.monotonic()
        assert ask(server.url, {"a": 1}, 5, 3) == b"fine"
        assert time.monotonic() - begin >= 0.2
    assert [body for _, body in server.asked] == [{"a": 1}] * 3
    assert server.asked[0][0]["Authorization"] == "Bearer secret-of-ours"


@pytest.mark.parametrize(
    ("status", "tries", "asked"), [(500, 3, 3), (429, 2, 2), (401, 3, 1), (404, 3, 1)]
)
def test_tries_are_bounded_and_refusals_are_final(
    root: Path, status: int, tries: int, asked: int
) -> None:
    with (
        serving(lambda n, _: (status, {}, b"")) as server,
        pytest.raises(EndpointError, match=f"{server.url} did not answer .*status {status}"),
    ):
        ask(server.url, {}, 5, tries)
    assert len(server.asked) == asked


def test_silent_or_absent_service_is_given_up(root: Path) -> None:
    def late(n: int, body: Any) -> Reply:
        time.sleep(0.5)
        return 200, {}, b"late"

    with serving(late) as server, pytest.raises(EndpointError, match="2 tries: timed out"):
        ask(server.url, {}, 0.1, 2)
    with pytest.raises(EndpointError, match=r"1 tries: .*refused"):
        ask("http://127.0.0.1:9/none", {}, 1, 1)


def test_redirect_is_not_followed_so_the_key_stays_here(root: Path) -> None:
    with (
        serving(lambda n, _: (200, {}, b"stolen")) as other,
        serving(lambda n, _: (302, {"Location": other.url}, b"")) as server,
        pytest.raises(EndpointError, match="status 302"),
    ):
        ask(server.url, {}, 5, 2)
    assert not other.asked


def test_endless_answer_is_cut_off(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MAX_BYTES", 1000)
    with (
        serving(lambda n, _: (200, {}, b"x" * 1001)) as server,
        pytest.raises(EndpointError, match="answered more than 1000 bytes"),
    ):
        ask(server.url, {}, 5, 2)


def by_model(url: str, parallel: int = 1) -> Any:
    rewrite = {
        **{"kind": "llm", "url": url, "model": "any", "prompt": "Make it speakable."},
        **{"timeout_s": 5.0, "tries": 2, "parallel": parallel},
    }
    return instructions(rewrite=rewrite)


def test_language_model_rewrites_every_turn_once_and_the_rules_follow(root: Path) -> None:
    rows = [
        {"instruction": "hue of lawn", "output": "| a big table |"},
        {"instruction": "please drop me", "output": "yes"},
    ]
    write_jsonl(root / "rows.jsonl", rows)

    def answer(n: int, body: Any) -> Reply:
        assert body["messages"][0] == {"role": "system", "content": "Make it speakable."}
        text = body["messages"][1]["content"]
        said = {"user: hue of lawn": "What color is **grass**?", "assistant: | a big table |": "3."}
        return completion(said.get(text, "DROP"))

    with serving(answer) as server:
        first = list(plan(by_model(server.url), 1, root / "kept"))
        asked = len(server.asked)
        second = list(plan(by_model(server.url), 1, root / "kept"))
        assert len(server.asked) == asked == 3
    assert first == second
    told, dropped = first
    assert isinstance(told, Planned) and isinstance(dropped, Dropped)
    assert [t.text for t in told.dialogue.turns] == ["what color is grass", "three"]
    assert (dropped.item, dropped.reason) == ("rows.jsonl line 2", "language model")


def test_dialogues_rewritten_at_a_time_are_those_of_one_after_the_other(root: Path) -> None:
    rows = [{"instruction": f"is it number {n}", "output": "yes it is"} for n in range(1, 60)]
    write_jsonl(root / "rows.jsonl", rows)
    running, most = 0, 0
    lock = threading.Lock()

    def answer(n: int, body: Any) -> Reply:
        nonlocal running, most
        with lock:
            running, most = running + 1, max(most, running + 1)
        time.sleep(0.01)
        with lock:
            running -= 1
        return completion(body["messages"][1]["content"].split(": ")[1])

    with serving(answer) as server:
        at_once = list(plan(by_model(server.url, parallel=8), 1, root / "a"))
        assert 1 < most <= 8
        assert len(server.asked) == 60  # the one answer that all share is asked for once
        one_by_one = list(plan(by_model(server.url), 1, root / "b"))
    assert at_once == one_by_one and len(at_once) == 59


def test_turn_that_the_model_refuses_is_dropped_alone(root: Path) -> None:
    rows = [{"instruction": i, "output": "yes"} for i in ("too long", "is it so")]
    write_jsonl(root / "rows.jsonl", rows)

    def answer(n: int, body: Any) -> Reply:
        said = body["messages"][1]["content"]
        return (400, {}, b"") if "long" in said else completion(said.split(": ")[1])

    with serving(answer) as server:
        dropped, told = plan(by_model(server.url), 1, root / "kept")
    assert isinstance(told, Planned) and isinstance(dropped, Dropped)
    assert dropped.value == f"{server.url} refused: status 400"


@pytest.mark.parametrize("content", [b"no json", b"{}", b'{"choices": []}', b"[1]"])
def test_answer_that_is_no_completion_ends_the_run_and_is_not_kept(
    root: Path, content: bytes
) -> None:
    write_jsonl(root / "rows.jsonl", [{"instruction": "a", "output": "b"}])
    with (
        serving(lambda n, _: (200, {}, content)) as server,
        pytest.raises(EndpointError, match="must be a chat completion"),
    ):
        list(plan(by_model(server.url), 1, root / "kept"))
    assert not list((root / "kept").rglob("*.json"))


def test_synthesiser_by_address_says_the_text_of_the_request(root: Path) -> None:
    local = open_synthesiser("flite", 1)

    def answer(n: int, body: Any) -> Reply:
        file = io.BytesIO()
        samples = local.say(body["input"], body["voice"], Manner(rate=body["speed"]))
        write_audio(file, samples, 24000, format="WAV")
        return 200, {}, file.getvalue()

    with serving(answer) as server:
        said = open_synthesiser(server.url, 1).say("go home", "slt", Manner(rate=0.9))
    expected = local.say("go home", "slt", Manner(rate=0.9))
    assert np.abs(said - np.clip(expected, -1, 1)).max() < 1e-3


@pytest.mark.parametrize("content", [b"", b"no wav", b"RIFF\0\0\0\0WAVE"])
def test_synthesiser_that_answers_no_sound_is_named(root: Path, content: bytes) -> None:
    with (
        serving(lambda n, _: (200, {}, content)) as server,
        pytest.raises(EndpointError, match=f"{server.url} answered no mono WAV"),
    ):
        open_synthesiser(server.url, 1).say("go", "a", Manner())
