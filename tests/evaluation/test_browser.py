"""Pages in a real browser: no width overflows, keys reach the players, nothing is fetched."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from moss_speech.evaluation.pages.report import report_page
from moss_speech.evaluation.pages.saved import open_evaluation
from moss_speech.evaluation.pages.subject import Stage, Subject
from tests.evaluation.saved import FIVE, record, write_evaluation

CHROMIUM = Path("/usr/bin/chromium")
OTHER = (*FIVE[:2], record("s2s", 2, "it is blue"), *FIVE[3:])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as play:
        flags = ["--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
        started = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    subjects = [
        Subject(
            name,
            open_evaluation(write_evaluation(folder / name, records), folder),
            {"first_audio_s": 0.2},
            {"joint/audio_loss": [(0, 4.0), (5, 2.0), (9, 1.0)]},
            [Stage("pretrain_joint_with_a_long_name", "FINISHED", 61.0, 60.0, 900.0)],
            {"a.long.name.of.a.param": "x" * 80, "seed": name},
        )
        for name, records in (("old", FIVE), ("new", OTHER))
    ]
    made = {"single": subjects[:1], "comparison": subjects}
    for name, some in made.items():
        (folder / f"{name}.html").write_text(report_page(some))
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("name", ["single", "comparison"])
def test_page_fits_its_window_and_fetches_nothing(pages, browser, name, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda r: told.append(r.url) if r.url.startswith("http") else None)
    page.goto(pages[name].as_uri())
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
    assert told == []
    context.close()


@pytest.mark.parametrize("name", ["single", "comparison"])
def test_keys_alone_reach_and_start_a_player(pages, browser, name):
    page = browser.new_page()
    page.goto(pages[name].as_uri())
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('clip')"):
            break
    assert "Play" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".clip.playing")
    page.close()


def test_paper_shows_what_is_folded_on_the_screen(pages, browser):
    page = browser.new_page()
    page.goto(pages["single"].as_uri())
    assert page.eval_on_selector_all("details", "all => all.filter(d => d.open).length") == 0
    assert len(page.pdf()) > 10_000
    opened = page.eval_on_selector_all("details", "all => all.map(d => d.open)")
    assert opened
    assert all(opened)
    page.close()


def test_every_section_of_the_menu_is_there(pages, browser):
    page = browser.new_page()
    for path in pages.values():
        page.goto(path.as_uri())
        wanted = page.eval_on_selector_all("nav a", "links => links.map(a => a.hash.slice(1))")
        missing = [id for id in wanted if page.query_selector(f"h2#{id}") is None]
        assert missing == []
        assert len(wanted) >= 6
    page.close()
