"""Which pages may use the service, as a browser asks for them."""

from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocket

from services.access.origins import OriginCheck
from services.metrics import Metrics


def client(is_open: bool, base_url: str) -> TestClient:
    app = FastAPI()
    app.state.runtime = SimpleNamespace(metrics=Metrics(CollectorRegistry()))
    app.add_middleware(OriginCheck, allowed=["https://a.example"], is_open=is_open)

    @app.api_route("/", methods=["GET", "POST", "DELETE", "PUT"])
    async def answer() -> str:
        return "here"

    @app.websocket("/")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("here")
        await socket.close()

    return TestClient(app, base_url=base_url)


def let_in(client: TestClient, origin: str | None) -> bool:
    """Whether an origin is, by every method alike; reading is free to all."""
    headers = {} if origin is None else {"origin": origin}
    assert client.get("/", headers=headers).status_code == 200
    answers = [client.request(m, "/", headers=headers) for m in ("POST", "DELETE", "PUT")]
    (status,) = {answer.status_code for answer in answers}
    if status == 403:
        assert answers[0].json()["error"]["code"] == "origin_not_allowed"
    assert _may_talk(client, headers) is (status == 200)
    return status == 200


def _may_talk(client: TestClient, headers: dict[str, str]) -> bool:
    url = f"ws://{client.base_url.netloc.decode()}/"
    try:
        with client.websocket_connect(url, headers=headers) as socket:
            return socket.receive_text() == "here"
    except WebSocketDenialResponse as denial:
        assert denial.status_code == 403
        return False


LOCAL, NAMED = "http://127.0.0.1:3000", "http://speech.example"


@pytest.mark.parametrize(
    ("is_open", "host", "origin", "may"),
    [
        (True, LOCAL, None, True),
        (True, LOCAL, LOCAL, True),
        (True, LOCAL, "https://a.example", True),
        (True, LOCAL, "https://b.example", False),
        (True, LOCAL, "http://a.example", False),
        (True, LOCAL, "https://a.example.evil.example", False),
        (True, LOCAL, "http://127.0.0.1:8000", False),
        (True, LOCAL, "null", False),
        (True, LOCAL, "", False),
        (True, LOCAL, "http://[", False),
        (False, NAMED, "http://[::1", False),
        (True, "http://localhost:3000", "http://localhost:3000", True),
        (True, "http://[::1]:3000", "http://[::1]:3000", True),
        (True, NAMED, NAMED, False),  # a foreign page may point its name at this machine
        (False, NAMED, NAMED, True),  # but it has no key
        (False, NAMED, "https://speech.example", True),  # TLS ends at a proxy
        (False, NAMED, "https://b.example", False),
        (False, LOCAL, "null", False),
    ],
)
def test_own_and_listed_pages_are_let_in(
    is_open: bool, host: str, origin: str | None, may: bool
) -> None:
    assert let_in(client(is_open, host), origin) is may
