"""Questions to a server of a test's own."""

from typing import Any

import httpx


def ask(url: str, voice: str, max_rows: int = 20) -> dict[str, Any]:
    """A typed question, answered in speech."""
    request = {
        "model": "moss-speech",
        "modalities": ["text", "audio"],
        "audio": {"voice": voice, "format": "wav"},
        "messages": [{"role": "user", "content": "what colour is the grass"}],
        "seed": 1,
        "max_tokens": max_rows,
    }
    answer = httpx.post(f"{url}/v1/chat/completions", json=request, timeout=300)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
