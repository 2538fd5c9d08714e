"""What the framework refuses, in the shape of our own errors; `errors.py` has the errors."""

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.routing import Match

from services.errors import ApiError, answer_api_error, failed

_REFUSALS = {
    404: ("not_found", "there is nothing at this address; GET /openapi.json lists the routes"),
    405: ("method_not_allowed", "this address does not take that method"),
}
_ANYWHERE = "/v1/{path:path}"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


async def answer_http_error(connection: HTTPConnection, error: Exception) -> JSONResponse:
    """Unknown addresses, wrong methods, forms that do not parse."""
    assert isinstance(error, HTTPException)
    code, reason = _REFUSALS.get(error.status_code, ("invalid_request", str(error.detail)))
    answer = await answer_api_error(connection, ApiError(error.status_code, reason, code=code))
    answer.headers.update(error.headers or {})
    return answer


async def answer_failure(connection: HTTPConnection, error: Exception) -> JSONResponse:
    """Anything unforeseen; the framework logs it."""
    return await answer_api_error(connection, failed())


async def nothing_here(request: Request) -> Response:
    """Takes what no route of the prefix takes; BentoML would answer it in its own shape."""
    routes = [route for route in request.app.routes if getattr(route, "path", "") != _ANYWHERE]
    allowed = [
        method
        for method in _METHODS
        if any(r.matches({**request.scope, "method": method})[0] is Match.FULL for r in routes)
    ]
    if allowed:
        raise HTTPException(405, headers={"allow": ", ".join(allowed)})
    raise HTTPException(404)


def install_refusals(app: FastAPI) -> None:
    """Answer every error of an application in one shape; after all of its routes are there."""
    app.add_exception_handler(ApiError, answer_api_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(Exception, answer_failure)
    app.add_route(_ANYWHERE, nothing_here, _METHODS, include_in_schema=False)
