"""The web page at /, with its scripts and styles; it loads nothing from elsewhere."""

from os import PathLike, stat_result
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).parent / "web"
POLICY = (
    "default-src 'self'",
    "media-src 'self' blob:",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",  # no page of others may press the button that opens the microphone
)
HEADERS = {
    "content-security-policy": "; ".join(POLICY),
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # files of two versions of the page do not fit each other
}


class _Files(StaticFiles):
    """The page's files; a browser asks each time whether they are still the same."""

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """One file, with the headers of the page."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        return response


async def _page() -> FileResponse:
    return FileResponse(WEB / "index.html", headers=HEADERS)


def install_page(app: FastAPI) -> None:
    """Serve the page and its files."""
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/web", _Files(directory=WEB), name="web")
