"""A real browser on the page: people speak, hold, type, interrupt; the answer is heard.

The microphone is Chromium's fake device fed from a WAV; the server is the real one.
Shapes: S samples.
"""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    WebSocketRoute,
    expect,
    sync_playwright,
)

from moss_speech.audio import SPEAKING, Samples, read_audio, write_audio
from tests.services.conftest import Server, serving
from tests.tiny_bundle import spoken, tiny_bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
ALLOWED = "--use-fake-ui-for-media-stream"
WAIT_MS = 60_000
HZ = 48000
DESKTOP: ViewportSize = {"width": 1100, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
RATE_HZ = SPEAKING.sample_rate_hz

PROBE = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    connect.call(this, window.probe = this.context.createAnalyser());
  }
  return connect.call(this, to, ...rest);
};
window.loudness = () => {
  const block = new Float32Array(window.probe?.fftSize ?? 1);
  window.probe?.getFloatTimeDomainData(block);
  return Math.max(...block.map(Math.abs));
};
"""
"""Listens at the loudspeaker: what the page really plays."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose bundle has two voices to choose from."""
    folder = tmp_path_factory.mktemp("voices")
    with serving(folder, tiny_bundle(folder, ("ann", "assistant"))) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys, has room for one conversation and makes recordings."""
    folder = tmp_path_factory.mktemp("guarded")
    limits = {"auth": "keys", "sessions": "1"}
    with serving(folder, **limits, record="true", root=str(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def key(guarded: Server) -> str:
    program = Path(sys.executable).with_name("moss-speech")
    command = [program, "key", "add", "page"]
    env = os.environ | {"MOSS_STATE_FOLDER": str(guarded.state)}
    made = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return made.stdout.split()[-1]


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * HZ), np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A question; the same for the microphone with a long pause, and with another soon after."""
    folder, question_S = tmp_path_factory.mktemp("recordings"), spoken(rate_hz=HZ)
    once = [silence(1), question_S, silence(5)]
    twice = [silence(1), question_S, silence(2), question_S, silence(4)]
    write_audio(folder / "question.wav", question_S, HZ)
    write_audio(folder / "once.wav", np.concatenate(once), HZ)
    write_audio(folder / "twice.wav", np.concatenate(twice), HZ)
    return folder


Launch = Callable[..., Browser]


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as play:
        browsers: list[Browser] = []

        def start(*flags: str) -> Browser:
            args = [*FLAGS, *flags]
            browsers.append(
                play.chromium.launch(executable_path=CHROMIUM, headless=True, args=args)
            )
            return browsers[-1]

        yield start
        for browser in browsers:
            browser.close()


def microphone(recording: Path) -> str:
    return f"--use-file-for-fake-audio-capture={recording}"


@pytest.fixture(scope="module")
def browser(launch: Launch, recordings: Path) -> Browser:
    return launch(ALLOWED, microphone(recordings / "once.wav"))


@dataclass
class Visit:
    """One page, with everything that goes over its connections and whatever it complains about."""

    page: Page
    sent: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def asked(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.sent if event["type"] == kind]

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.received if event["type"] == kind]

    def sound(self, item_id: str) -> Samples:
        """What the server sent of an answer."""
        deltas = self.told("response.output_audio.delta")
        data = [base64.b64decode(d["delta"]) for d in deltas if d["item_id"] == item_id]
        return np.frombuffer(b"".join(data), "<i2").astype(np.float32) / 32768

    def until(self, expression: str) -> None:
        """Waits for JavaScript to be true; the page's policy forbids waiting inside the page."""
        for _ in range(WAIT_MS // 25):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(f"{expression} did not come true")

    def await_phase(self, *phases: str) -> None:
        self.until(f"{json.dumps(phases)}.includes(document.body.dataset.phase)")

    def await_answer(self, n: int = 1, says: str = "first sound") -> None:
        figures = self.page.locator(".turn.answer .figures").nth(n - 1)
        expect(figures).to_contain_text(says, timeout=WAIT_MS)

    def await_end(self) -> None:
        self.await_phase("idle", "listening")

    def await_loudness(self, condition: str) -> None:
        self.until(f"loudness() {condition}")

    def saved(self, which: str, folder: Path) -> Samples:
        """A turn's sound as the page lets people save it."""
        with self.page.expect_download() as download:
            self.page.locator(f".turn.{which} .save").last.click()
        path = folder / f"{which}.wav"
        download.value.save_as(path)
        return read_audio(path, RATE_HZ)


def open_page(
    browser: Browser | BrowserContext, server: Server, viewport: ViewportSize = DESKTOP
) -> Visit:
    visit = Visit(browser.new_page())
    page = visit.page
    page.set_viewport_size(viewport)
    own = (server.url, server.url.replace("http", "ws"), "blob:", "data:")

    def requested(url: str) -> None:
        if not url.startswith(own):
            visit.foreign.append(url)

    def record(events: list[dict[str, Any]]) -> Callable[[str | bytes], None]:
        return lambda frame: events.append(json.loads(frame))

    def connected(socket: Any) -> None:
        requested(socket.url)
        socket.on("framesent", record(visit.sent))
        socket.on("framereceived", record(visit.received))

    page.on("request", lambda request: requested(request.url))
    page.on("websocket", connected)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("console", lambda m: visit.complaints.append(m.text) if m.type == "error" else None)
    page.add_init_script(PROBE)
    page.goto(server.url)
    expect(page.locator("#connection")).not_to_have_text("connecting", timeout=WAIT_MS)
    return visit


def close_page(visit: Visit) -> None:
    assert visit.foreign == []
    assert visit.complaints == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    visit.page.close()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    visit = open_page(browser, server)
    yield visit
    close_page(visit)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_spoken_question_is_answered_hands_free(
    browser: Browser, server: Server, viewport: ViewportSize, tmp_path: Path
) -> None:
    visit = open_page(browser, server, viewport)
    visit.page.click("#talk")
    visit.await_loudness("> 0.001")
    visit.await_answer(says="after you stopped")
    visit.page.click("#talk")
    visit.await_end()
    answer = visit.told("response.output_item.added")[0]["item"]["id"]
    np.testing.assert_allclose(
        visit.saved("answer", tmp_path), visit.sound(answer), rtol=0, atol=2 / 32768
    )
    question_s = visit.saved("question", tmp_path).size / RATE_HZ
    assert spoken().size / 16000 < question_s < 1 + spoken().size / 16000 + 1
    assert visit.page.locator(".turn.answer .replay").is_enabled()
    expect(visit.page.locator(".turn.answer .figures")).to_contain_text("version")
    visit.page.screenshot(path=tmp_path / "page.png", full_page=True)
    close_page(visit)


def hold(visit: Visit, begin: Callable[[], None], end: Callable[[], None]) -> None:
    visit.page.check("#hold", force=True)
    begin()
    visit.await_phase("held")
    visit.page.wait_for_timeout(3500)
    end()
    visit.await_answer()


def test_push_to_talk_with_the_pointer(visit: Visit) -> None:
    def press() -> None:
        visit.page.hover("#talk")
        visit.page.mouse.down()

    hold(visit, press, visit.page.mouse.up)
    assert len(visit.asked("input_audio_buffer.commit")) == 1
    assert len(visit.asked("response.create")) == 1
    detections = [
        e["session"]["audio"]["input"]["turn_detection"] for e in visit.asked("session.update")
    ]
    assert detections == [None]


def test_short_press_stays_on_until_the_next_one(visit: Visit) -> None:
    def press() -> None:
        visit.page.click("#talk")

    hold(visit, press, press)
    assert len(visit.asked("input_audio_buffer.commit")) == 1


def test_keyboard_alone_talks_types_and_interrupts(visit: Visit) -> None:
    keyboard = visit.page.keyboard
    for _ in range(30):
        keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement.id") == "hands-free":
            break
    keyboard.press("ArrowRight")
    assert visit.page.is_checked("#hold")
    visit.page.evaluate("document.activeElement.blur()")
    keyboard.down(" ")
    visit.await_phase("held")
    visit.page.wait_for_timeout(3500)
    keyboard.up(" ")
    visit.await_phase("speaking")
    keyboard.press("Escape")
    visit.await_answer(says="interrupted")
    visit.page.focus("#question")
    keyboard.type("what color is the grass")
    keyboard.press("Enter")
    visit.await_answer(2)


def test_escape_stops_the_sound_and_tells_what_was_heard(visit: Visit, tmp_path: Path) -> None:
    visit.page.fill("#question", "what color is the grass")
    visit.page.press("#question", "Enter")
    visit.await_loudness("> 0.001")
    while len(visit.told("response.output_audio.delta")) < 4:
        visit.page.wait_for_timeout(10)
    visit.page.keyboard.press("Escape")
    visit.await_answer(says="interrupted after")
    visit.page.wait_for_timeout(300)
    assert visit.page.evaluate("loudness()") == 0
    visit.await_end()
    [truncated] = visit.told("conversation.item.truncated")
    assert visit.told("error") == []
    sent_ms = 1000 * visit.sound(truncated["item_id"]).size / RATE_HZ
    assert 0 < truncated["audio_end_ms"] < sent_ms - 300  # it would still sound
    heard_ms = 1000 * visit.saved("answer", tmp_path).size / RATE_HZ
    assert heard_ms == pytest.approx(truncated["audio_end_ms"], abs=1)


def test_speaking_interrupts_the_answer(launch: Launch, server: Server, recordings: Path) -> None:
    browser = launch(ALLOWED, microphone(recordings / "twice.wav"))
    visit = open_page(browser, server)
    visit.page.click("#talk")
    interrupted = visit.page.locator(".turn.answer .figures", has_text="interrupted after")
    expect(interrupted.first).to_be_visible(timeout=WAIT_MS)
    visit.page.wait_for_timeout(500)
    assert visit.told("conversation.item.truncated") != []
    assert visit.asked("response.cancel") == []
    assert visit.told("error") == []
    close_page(visit)


def test_typed_question_gets_a_written_answer(visit: Visit) -> None:
    visit.page.select_option("#output", "text")
    visit.page.fill("#question", "what color is the grass")
    visit.page.press("#question", "Enter")
    expect(visit.page.locator(".turn.question .words")).to_have_text("what color is the grass")
    visit.await_answer(says="first word")
    expect(visit.page.locator(".turn.answer .words")).not_to_be_empty()
    assert visit.told("response.output_audio.delta") == []


def test_recording_is_asked_and_a_file_without_sound_is_explained(
    visit: Visit, recordings: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("no sound in here")
    visit.page.set_input_files("#file", text)
    expect(visit.page.locator("#problem")).to_contain_text("is not audio", timeout=WAIT_MS)
    expect(visit.page.locator(".turn")).to_have_count(0)
    visit.page.set_input_files("#file", recordings / "question.wav")
    visit.await_answer()
    visit.await_end()
    expect(visit.page.locator("#problem")).to_be_empty()
    asked_S = read_audio(recordings / "question.wav", RATE_HZ)
    assert visit.saved("question", tmp_path).size == pytest.approx(asked_S.size, abs=RATE_HZ // 100)
    appended = visit.asked("input_audio_buffer.append")
    assert len(appended) > 20


def test_silence_is_refused_and_gets_no_answer(visit: Visit, tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.wav"
    write_audio(quiet, silence(1), HZ)
    visit.page.set_input_files("#file", quiet)
    expect(visit.page.locator("#problem")).not_to_be_empty(timeout=WAIT_MS)
    expect(visit.page.locator(".turn")).to_have_count(0)
    assert visit.asked("response.create") == []


def ask_typed(visit: Visit, text: str) -> None:
    n = visit.page.locator(".turn.answer").count()
    visit.page.fill("#question", text)
    visit.page.press("#question", "Enter")
    visit.await_answer(n + 1)
    visit.await_end()


def test_another_voice_begins_another_conversation(visit: Visit) -> None:
    ask_typed(visit, "what color is the grass")
    visit.page.select_option("#voice", "assistant")
    expect(visit.page.locator(".divider")).to_have_text("New conversation")
    ask_typed(visit, "what color is the grass")
    voices = [e["response"]["audio"]["output"]["voice"] for e in visit.told("response.done")]
    assert voices == ["ann", "assistant"]
    assert len(visit.told("session.created")) == 2
    assert visit.told("error") == []


def test_broken_connection_is_opened_again_while_listening(visit: Visit) -> None:
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    visit.page.route_web_socket("**/v1/realtime?*", through)
    visit.page.click("#talk")
    expect(visit.page.locator("#connection")).to_have_text("connected", timeout=WAIT_MS)
    visit.await_answer()
    sockets[0].close(code=1011, reason="broken")
    expect(visit.page.locator("#connection")).to_contain_text("again in", timeout=WAIT_MS)
    expect(visit.page.locator(".divider")).to_contain_text("remembers nothing")
    expect(visit.page.locator("#connection")).to_have_text("connected", timeout=WAIT_MS)
    answered = visit.page.locator(".divider ~ .turn.answer .figures").first
    expect(answered).to_contain_text("first sound", timeout=WAIT_MS)
    assert len(sockets) > 1


def test_denied_microphone_is_explained_and_typing_works(launch: Launch, server: Server) -> None:
    visit = open_page(launch(), server)
    visit.page.click("#talk")
    expect(visit.page.locator("#problem")).to_contain_text("not allowed", timeout=WAIT_MS)
    ask_typed(visit, "what color is the grass")
    close_page(visit)


def test_page_asks_for_a_key_and_keeps_it_in_the_tab(
    browser: Browser, guarded: Server, key: str
) -> None:
    visit = open_page(browser, guarded)
    for entered, asks in (("ms-wrong", "wants a key"), (key, "does not accept")):
        expect(visit.page.locator("#key .reason")).to_contain_text(asks)
        visit.page.fill("#key input", entered)
        visit.page.press("#key input", "Enter")
    ask_typed(visit, "what color is the grass")
    visit.page.reload()
    expect(visit.page.locator("#connection")).to_have_text("ready", timeout=WAIT_MS)
    expect(visit.page.locator("#key")).to_be_hidden()
    assert visit.page.evaluate("localStorage.length") == 0
    assert [c for c in visit.complaints if "401" not in c] == []
    visit.page.close()


def test_client_secret_is_enough_to_talk(browser: Browser, guarded: Server, key: str) -> None:
    secret = httpx.post(
        f"{guarded.url}/v1/realtime/client_secrets",
        headers={"authorization": f"Bearer {key}"},
        json={},
    ).json()["value"]
    visit = open_page(browser, guarded)
    visit.page.fill("#key input", secret)
    visit.page.press("#key input", "Enter")
    expect(visit.page.locator("#connection")).to_have_text("ready", timeout=WAIT_MS)
    ask_typed(visit, "what color is the grass")
    assert [c for c in visit.complaints if "401" not in c and "403" not in c] == []
    visit.page.close()


def test_recording_is_kept_only_with_consent(browser: Browser, guarded: Server, key: str) -> None:
    visit = open_page(browser, guarded)
    visit.page.fill("#key input", key)
    visit.page.press("#key input", "Enter")
    ask_typed(visit, "what color is the grass")
    visit.page.check("#store")
    expect(visit.page.locator(".divider")).to_have_text("New conversation")
    ask_typed(visit, "what color is the sky")
    for _ in range(WAIT_MS // 25):
        kept = [path.read_text() for path in guarded.state.parent.glob("recordings/*/*/turn.json")]
        if kept:
            break
        visit.page.wait_for_timeout(25)
    assert ["sky" in turn for turn in kept] == [True]
    visit.page.close()


def test_full_server_says_so_and_answers_once_there_is_room(
    browser: Browser, guarded: Server, key: str
) -> None:
    context = browser.new_context()
    visits = [open_page(context, guarded) for _ in range(2)]
    for visit in visits:
        visit.page.fill("#key input", key)
        visit.page.press("#key input", "Enter")
        expect(visit.page.locator("#connection")).to_have_text("ready", timeout=WAIT_MS)
    first, second = visits
    ask_typed(first, "what color is the grass")
    second.page.fill("#question", "what color is the grass")
    second.page.press("#question", "Enter")
    busy = re.compile(r"The server is busy: .+ \(in \d+ s\)")
    expect(second.page.locator("#problem")).to_have_text(busy, timeout=WAIT_MS)
    expect(second.page.locator("#question")).to_have_value("what color is the grass")
    first.page.close()
    while not second.page.locator(".turn.answer").count():  # the place is free in a moment
        if second.page.input_value("#question"):
            second.page.press("#question", "Enter")
        second.page.wait_for_timeout(500)
    second.await_answer()
    context.close()


def test_page_is_always_the_newest_and_in_no_frame(server: Server) -> None:
    for path in ("/", "/web/app.js", "/web/worklets/play.js"):
        answer = httpx.get(server.url + path)
        assert answer.headers["cache-control"] == "no-cache"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        again = {"if-none-match": answer.headers["etag"]}
        if path != "/":
            assert httpx.get(server.url + path, headers=again).status_code == 304


def test_page_names_the_model_and_its_lineage(visit: Visit) -> None:
    visit.page.click("#model-name")
    facts = visit.page.locator("#model-facts")
    expect(facts).to_contain_text("digest")
    expect(facts).to_contain_text("ann, assistant")
    expect(facts).to_contain_text("Apache-2.0")
