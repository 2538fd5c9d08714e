"""Is an event one of the protocol's? Asked of the classes of the installed `openai` package."""

import json
from typing import Any, get_args

from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel

_UNION = get_args(RealtimeServerEvent)[0]
CLASSES: dict[str, type[BaseModel]] = {
    get_args(c.model_fields["type"].annotation)[0]: c for c in get_args(_UNION)
}
FAILURE_KINDS = {
    "invalid_request_error", "authentication_error", "permission_error", "rate_limit_error",
    "overloaded_error", "server_error",
}  # fmt: skip


def _extras(value: Any, where: str) -> list[str]:
    """Names of fields that the package does not know, at any depth."""
    if isinstance(value, BaseModel):
        extra = [f"{where}.{name}" for name in value.model_extra or {}]
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return extra + [e for n, v in fields.items() for e in _extras(v, f"{where}.{n}")]
    if isinstance(value, list):
        return [e for i, v in enumerate(value) for e in _extras(v, f"{where}[{i}]")]
    return []


def checked(text: str | bytes) -> dict[str, Any]:
    """The event; an assertion if the class of its type refuses it or knows a field of it not."""
    event: dict[str, Any] = json.loads(text)
    assert event["type"] in CLASSES, event["type"]
    parsed = CLASSES[event["type"]].model_validate_json(text, strict=True)
    assert _extras(parsed, event["type"]) == []
    assert event["event_id"].startswith("event_")
    if event["type"] == "error":
        error = event["error"]
        assert error["type"] in FAILURE_KINDS
        assert error["code"]
        assert error["message"]
    return event
