"""POST /v1/realtime/client_secrets: a secret for a page, so that it needs no key."""

import asyncio
import time
import uuid
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from typing_extensions import TypedDict

from services.openapi import answers, body
from services.protocol import Wire, parse
from services.realtime.config import first_config, updated
from services.realtime.wishes import SessionWish
from services.runtime import Runtime

router = APIRouter(tags=["realtime"])


class ExpiresAfter(Wire):
    """How long a secret opens sessions; one that was opened goes on."""

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=600, ge=10, le=7200)


class SecretRequest(Wire):
    """A wish for a client secret, with the settings of the sessions that it opens."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: SessionWish = SessionWish(type="realtime")


class ClientSecret(TypedDict):
    """The secret, when it ends (Unix seconds), and the settings as they will take effect."""

    value: str
    expires_at: int
    session: dict[str, Any]


@router.post(
    "/v1/realtime/client_secrets",
    responses=answers(ClientSecret, "The secret"),
    openapi_extra=body(SecretRequest, required=False),
)
async def create_client_secret(http: Request) -> ClientSecret:
    """Sign a secret on the account of the caller's key; nothing is stored."""
    runtime: Runtime = http.app.state.runtime
    caller = await runtime.access.caller(http, "secrets")
    request = await asyncio.to_thread(parse, SecretRequest, await http.body() or b"{}")
    voices = runtime.engine.voices
    usual = first_config(runtime.model, voices)
    config = updated(usual, request.session, voices, spoke=False)
    expires_at = int(time.time()) + request.expires_after.seconds
    given = request.session.model_dump(mode="json", exclude_unset=True)
    session = {"id": f"sess_{uuid.uuid4().hex}", "object": "realtime.session", **config.wire}
    value = runtime.access.issue(caller, given, expires_at)
    return {"value": value, "expires_at": expires_at, "session": session}
