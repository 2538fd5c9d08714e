"""The description of the routes at /openapi.json: bodies, answers, errors, keys.

Bodies are read by the routes themselves, outside the event loop, so their schemas are added here.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter

from services.errors import ErrorBody

_REF = "#/components/schemas/{model}"
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key or a client secret; needed where the server asks for keys.",
}


def answers(
    model: Any, description: str, *other_media: str, events: Sequence[type] = ()
) -> dict[int | str, dict[str, Any]]:
    """What a route answers: JSON of a type, other media types, events, or an error."""
    content = {media: {"schema": {"type": "string"}} for media in other_media}
    if events:
        content["text/event-stream"] = {"schema": _event(events)}
    return {
        200: {"model": model, "description": description, "content": content},
        "4XX": {"model": ErrorBody, "description": "The request cannot be answered"},
        "5XX": {"model": ErrorBody, "description": "The server is full, or failed"},
    }


def _event(types: Sequence[type]) -> dict[str, Any]:
    """One server-sent event of a stream: JSON of a type, an error, or its end."""
    one_of = [{"$ref": _REF.format(model=one.__name__)} for one in (*types, ErrorBody)]
    json = {"contentMediaType": "application/json", "contentSchema": {"anyOf": one_of}}
    end = {"const": "[DONE]"}
    data = {"type": "string", "if": end, "else": json}
    return {"type": "object", "required": ["data"], "properties": {"data": data}}


def body(
    model: type[BaseModel], media_type: str = "application/json", *, required: bool = True
) -> dict[str, Any]:
    """What a route takes, as an addition to its operation."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": required, "content": {media_type: {"schema": schema}}}}


def describe(app: FastAPI, types: Sequence[type]) -> None:
    """Make an application describe all that its routes take and give.

    `types` are those of bodies and events, which the framework does not know.
    """

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(app, types)
        return app.openapi_schema

    app.openapi = description  # type: ignore[method-assign]


def _complete(app: FastAPI, types: Sequence[type]) -> dict[str, Any]:
    whole = get_openapi(title=app.title, version=app.version, routes=app.routes)
    _, schemas = TypeAdapter.json_schemas(
        [(one.__name__, "validation", TypeAdapter(one)) for one in types], ref_template=_REF
    )
    components = whole.setdefault("components", {})
    known = components.setdefault("schemas", {})
    for name, schema in schemas["$defs"].items():
        assert known.setdefault(name, schema) == schema, f"two types are called {name}"
    components["securitySchemes"] = {"key": _KEY}
    whole["security"] = [{"key": []}, {}]
    return whole
