"""Settings of the service that people write by hand."""

import pytest

from moss_speech.settings import Settings


def test_origins_are_written_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOSS_ORIGINS", " https://a.example, http://localhost:8000 ")
    assert Settings().origins == ("https://a.example", "http://localhost:8000")
    monkeypatch.setenv("MOSS_ORIGINS", "")
    assert Settings().origins == ()


@pytest.mark.parametrize("origin", ["*", "a.example", "https://a.example/", "https://*.example"])
def test_origin_that_no_browser_sends_is_refused(
    origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOSS_ORIGINS", origin)
    with pytest.raises(ValueError, match="must be https://HOST or https://HOST:PORT"):
        Settings()
