"""The token that a client sends: in its header, or in a browser's WebSocket as a subprotocol."""

from starlette.requests import HTTPConnection

_SUBPROTOCOL = "openai-insecure-api-key."
"""Browsers cannot set headers of a WebSocket; OpenAI's clients put the token here."""


def token_of(connection: HTTPConnection) -> str | None:
    """The token, or None if the client sends none."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    offered: list[str] = connection.scope.get("subprotocols", [])
    tokens = [name.removeprefix(_SUBPROTOCOL) for name in offered if name.startswith(_SUBPROTOCOL)]
    return tokens[0] if tokens else None
