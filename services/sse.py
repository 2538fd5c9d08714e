"""Server-sent events: how streams of JSON go out, and how they end when something fails."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from moss_speech.inference.turns import QuestionError
from services.errors import ApiError, failed, refused_question

MEDIA_TYPE = "text/event-stream"
_log = logging.getLogger(__name__)


def sse(value: Mapping[str, Any]) -> str:
    """One event."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def sse_events(events: AsyncIterator[str]) -> AsyncIterator[str]:
    """Events on their way out; the status was sent, so a failure is told as the last event."""
    try:
        async for event in events:
            yield event
    except QuestionError as error:
        yield sse(refused_question(error, None).body())
    except ApiError as error:
        yield sse(error.body())
    except Exception:
        _log.exception("an answer failed while it was sent")
        yield sse(failed().body())
