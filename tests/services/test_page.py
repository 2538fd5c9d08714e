"""A real browser on the page: a recording and a typed question get an answer that plays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from moss_speech.audio import write_audio
from tests.services.conftest import Server
from tests.tiny_bundle import spoken

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
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "question.wav"
    write_audio(path, spoken(rate_hz=48000), 48000)
    return path


@pytest.fixture(scope="module")
def browser(recording: Path) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as play:
        fake = f"--use-file-for-fake-audio-capture={recording}"
        browser = play.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*FLAGS, fake])
        yield browser
        browser.close()


@pytest.fixture(params=[(1100, 900), (390, 844)], ids=["desktop", "phone"])
def page(
    browser: Browser, server: Server, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Page]:
    width, height = request.param
    page = browser.new_page(viewport={"width": width, "height": height})
    requested: list[str] = []
    page.on("request", lambda r: requested.append(r.url))
    page.goto(server.url)
    expect(page.locator("#record")).to_be_enabled(timeout=WAIT_MS)
    yield page
    own = (server.url, "blob:", "data:")
    assert [url for url in requested if not url.startswith(own)] == []
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.close()


def seconds(page: Page, which: str) -> float:
    """Length of a turn's sound as the browser's own player reads it."""
    player = page.locator(f".turn {which} audio").first
    expect(player).to_be_visible(timeout=WAIT_MS)
    known = """e => new Promise(done => {
        const look = () => e.duration > 0 ? done(e.duration) : setTimeout(look, 50);
        look();
    })"""
    return float(player.evaluate(known))


def test_uploaded_recording_gets_an_answer_that_plays(page: Page, recording: Path) -> None:
    page.set_input_files("#file", recording)
    expect(page.locator(".answer .figures").first).to_contain_text("first sound", timeout=WAIT_MS)
    assert seconds(page, ".question") == pytest.approx(spoken().size / 16000, abs=0.05)
    assert seconds(page, ".answer") > 1
    right = "e => e.getBoundingClientRect().right"
    assert page.locator("#record").evaluate(right) < page.locator(".ask").evaluate(right)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_recorded_question_gets_an_answer(page: Page) -> None:
    page.click("#record")
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)
    page.wait_for_timeout(2500)
    page.click("#record")
    expect(page.locator(".answer .figures").first).to_contain_text("first sound", timeout=WAIT_MS)
    assert seconds(page, ".question") > 1.5
    assert seconds(page, ".answer") > 1


def test_typed_question_gets_a_written_answer(page: Page) -> None:
    page.click("summary")
    page.select_option("#output", "text")
    page.fill("#question", "what color is the grass")
    page.press("#question", "Enter")
    expect(page.locator(".answer .words").first).not_to_be_empty(timeout=WAIT_MS)


def test_file_that_is_no_audio_is_explained_and_the_page_stays_usable(
    page: Page, recording: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("no sound in here")
    page.set_input_files("#file", text)
    expect(page.locator("#status.bad")).to_contain_text("not readable audio", timeout=WAIT_MS)
    expect(page.locator(".turn")).to_have_count(0)
    page.set_input_files("#file", recording)
    expect(page.locator(".answer .figures").first).to_contain_text("first sound", timeout=WAIT_MS)
