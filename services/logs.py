"""The service's log: lines for people or JSON, with ids, never with audio, text or secrets.

The fields of a JSON line are named here and nowhere else: time, level, logger, process, message,
error (a traceback), the ids of `services.ids`, and what a caller gives as `extra={"fields": …}`.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from services.ids import bound

HIDDEN = "[hidden]"
_SECRET = re.compile(
    r"(?P<name>authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)?\s*)[^\s\"',}]+"
    r"|(?P<bearer>\bbearer\s+)[^\s\"',}]+"
    r"|\b(?:ms-|sk-|ek_)[A-Za-z0-9_.~+/=-]{8,}",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""A path that was asked for may hold any of them; a line stays a line."""
_LOGGERS = ("bentoml", "uvicorn", "uvicorn.error", "uvicorn.access", "circus", "asyncio")


def redact(text: str) -> str:
    """The text without keys, client secrets and Authorization values."""
    return _SECRET.sub(lambda m: f"{m['name'] or m['bearer'] or ''}{HIDDEN}", text)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given: Mapping[str, Any] = getattr(record, "fields", {})
    return {**bound(), **given}


def _shown(value: object) -> object:
    return value if value is None or isinstance(value, int | float) else redact(str(value))


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's fields; hidden before they are escaped, as escapes join words."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps({name: _shown(value) for name, value in line.items()})


class PlainFormatter(logging.Formatter):
    """Time, level, message, then the ids and fields."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The first line, with the fields; a traceback follows it."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = redact(super().formatMessage(record) + fields)
        return _CONTROL.sub(lambda m: m[0].encode("unicode_escape").decode(), line)

    def format(self, record: logging.LogRecord) -> str:
        """The whole entry; what follows the first line is a traceback."""
        return redact(super().format(record))


def configure_logs(style: Literal["plain", "json"]) -> None:
    """Send every logger of this process to standard output, in one style.

    The frameworks' own handlers are taken off, as theirs neither name ids nor hide secrets.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if style == "json" else PlainFormatter())
    logging.getLogger().handlers = [handler]
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    logging.getLogger("services").setLevel(logging.INFO)
    logging.captureWarnings(True)
