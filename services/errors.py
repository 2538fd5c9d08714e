"""Errors of the HTTP interface, in OpenAI's shape: `{"error": {message, type, param, code}}`."""

import logging
from collections.abc import Sequence
from typing import Literal

from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.requests import HTTPConnection
from typing_extensions import TypedDict

from moss_speech.inference.turns import QuestionError

_LOG = logging.getLogger(__name__)

ErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "rate_limit_error",
    "overloaded_error",
    "server_error",
]


class ErrorDetail(TypedDict):
    """What went wrong, for people and for programs."""

    message: str
    type: ErrorType
    param: str | None
    code: str


class ErrorBody(TypedDict):
    """The body of every answer that is an error."""

    error: ErrorDetail


class ApiError(Exception):
    """A refusal that the client can read: HTTP status, kind, field and machine-readable code."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        kind: ErrorType = "invalid_request_error",
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.kind = status, code, param, kind
        self.retry_after_s = retry_after_s

    def body(self) -> ErrorBody:
        """The JSON body of the answer."""
        return {
            "error": {
                "message": str(self),
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def invalid(message: str, param: str | None, code: str = "invalid_value") -> ApiError:
    """A 400 for a field whose value cannot be used."""
    return ApiError(400, message, code=code, param=param)


def overloaded(message: str, retry_after_s: int, code: str = "overloaded") -> ApiError:
    """A 503 with the seconds after which to try again."""
    return ApiError(503, message, code=code, kind="overloaded_error", retry_after_s=retry_after_s)


def refused_question(error: QuestionError, param: str | None) -> ApiError:
    """A 400 for a question that the engine refuses, with the engine's code and reason."""
    return invalid(str(error), param, error.code)


def failed() -> ApiError:
    """A 500 that says nothing about the inside."""
    reason = "the server failed to answer; its log says why"
    return ApiError(500, reason, code="server_failed", kind="server_error")


def _field(location: Sequence[int | str]) -> str:
    """`messages[0].content`, as OpenAI names fields; names of union members are left out.

    A part of a message has fields of the same names, which come last.
    """
    messages = {"system", "developer", "user", "assistant", "message", "item_reference"}
    parts: list[str] = []
    for i, part in enumerate(location):
        tags = messages if i == len(location) - 1 else messages | {"text", "input_audio"}
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif part == "str" or "[" in part:
            continue
        elif i == 0 or not (isinstance(location[i - 1], int) and part in tags):
            parts.append(f".{part}" if parts else part)
    return "".join(parts)


def refused_fields(error: ValidationError) -> ApiError:
    """A 400 that names the innermost wrong field and why; it never repeats what was sent."""
    errors = error.errors(include_input=False, include_url=False, include_context=False)
    first = max(errors, key=lambda e: len(e["loc"]))
    param = _field(first["loc"])
    if first["type"] == "extra_forbidden":
        return invalid(f"unrecognised request argument: {param}", param, "unknown_parameter")
    if first["type"] == "missing":
        return invalid(f"missing required parameter: {param}", param, "missing_required_parameter")
    if first["type"] == "json_invalid":
        return invalid(f"the body is not JSON: {first['msg']}", None, "invalid_json")
    return invalid(f"{param or 'the body'}: {first['msg']}", param)


def note_refusal(connection: HTTPConnection, error: ApiError) -> None:
    """Count a refusal and log it, under the ids of its request."""
    connection.app.state.runtime.metrics.refused(error.code)
    _LOG.info("refused", extra={"fields": {"status": error.status, "code": error.code}})


async def answer_api_error(connection: HTTPConnection, error: Exception) -> JSONResponse:
    """Note an `ApiError` and turn it into its HTTP answer, also to a WebSocket's handshake."""
    assert isinstance(error, ApiError)
    note_refusal(connection, error)
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error.body(), error.status, headers)
