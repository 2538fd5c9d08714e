"""The description of the routes at /openapi.json: bodies, answers, errors, keys.

Bodies are read by the routes themselves, outside the event loop, so their schemas are added here.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.errors import ErrorBody

_REF = "#/components/schemas/{model}"
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key or a client secret; needed where the server asks for keys.",
}


def answers(model: Any, description: str, *other_media: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers: JSON of a type, other media types, or an error."""
    content = {media: {"schema": {"type": "string"}} for media in other_media}
    return {
        200: {"model": model, "description": description, "content": content},
        "4XX": {"model": ErrorBody, "description": "The request cannot be answered"},
        "5XX": {"model": ErrorBody, "description": "The server is full, or failed"},
    }


def body(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    """What a route takes, as an addition to its operation."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def describe(app: FastAPI, bodies: Sequence[type[BaseModel]]) -> None:
    """Make an application describe all that its routes take and give.

    `bodies` are the types that `body` was called with.
    """

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(app, bodies)
        return app.openapi_schema

    app.openapi = description  # type: ignore[method-assign]


def _complete(app: FastAPI, bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    whole = get_openapi(title=app.title, version=app.version, routes=app.routes)
    _, schemas = models_json_schema([(m, "validation") for m in bodies], ref_template=_REF)
    components = whole.setdefault("components", {})
    components["schemas"] = components.get("schemas", {}) | schemas["$defs"]
    components["securitySchemes"] = {"key": _KEY}
    whole["security"] = [{"key": []}, {}]
    return whole
