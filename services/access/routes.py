"""POST /v1/realtime/client_secrets: a secret for a page, so that it needs no key."""

import time
import uuid
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field, ValidationError, field_validator

from services.errors import refused_fields
from services.protocol import Wire
from services.runtime import Runtime

router = APIRouter()


class ExpiresAfter(Wire):
    """How long a secret opens sessions; one that was opened goes on."""

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=600, ge=10, le=7200)


class SecretRequest(Wire):
    """A wish for a client secret, with the settings of the sessions that it opens."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] = Field(default={}, validate_default=True)

    @field_validator("session")
    @classmethod
    def _is_realtime(cls, session: dict[str, Any]) -> dict[str, Any]:
        if (kind := session.get("type", "realtime")) != "realtime":
            raise ValueError(f"session.type is {str(kind)[:40]!r}, must be realtime")
        return {"type": "realtime", **session}


@router.post("/v1/realtime/client_secrets")
async def create_client_secret(http: Request) -> dict[str, Any]:
    """Sign a secret on the account of the caller's key; nothing is stored."""
    runtime: Runtime = http.app.state.runtime
    caller = await runtime.access.caller(http, "secrets")
    try:
        request = SecretRequest.model_validate_json(await http.body() or b"{}")
    except ValidationError as error:
        raise refused_fields(error) from None
    expires_at = int(time.time()) + request.expires_after.seconds
    value = runtime.access.issue(caller, request.session, expires_at)
    session = {"id": f"sess_{uuid.uuid4().hex}", "object": "realtime.session", **request.session}
    return {"value": value, "expires_at": expires_at, "session": session}
