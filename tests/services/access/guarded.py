"""How an operator and a client deal with a server that asks for keys."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import openai

from moss_speech.catalogue.database import transact
from moss_speech.catalogue.limits import spend
from tests.services.conftest import ROOT, Server

LISTED = "https://app.example"
SECRETS = "/v1/realtime/client_secrets"
CHAT = "/v1/chat/completions"


def command(server: Server, *words: str) -> str:
    """`moss-speech key ...` beside the server, as an operator types it."""
    env = os.environ | {"MOSS_STATE_FOLDER": str(server.state)}
    program = [sys.executable, "-c", "from moss_speech.cli import app; app()", "key", *words]
    done = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def client(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def post(server: Server, path: str, key: str | None, **how: Any) -> httpx.Response:
    """One request on a connection of its own, so that either worker may get it."""
    headers = how.pop("headers", {}) | ({} if key is None else {"authorization": f"Bearer {key}"})
    return httpx.post(f"{server.url}{path}", headers=headers, timeout=60, **how)


def wait_for_a_minute_with_room(server: Server) -> None:
    """Limits count in fixed minutes: what follows must not be cut by the end of one."""
    url = f"sqlite:///{server.state}/catalogue.db"
    while transact(url, lambda s: spend(s, "nobody", 0, 0, datetime.now(UTC))).reset_s < 8:
        time.sleep(0.5)
