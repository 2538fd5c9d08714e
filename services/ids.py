"""Which request, conversation and answer the task at hand belongs to.

Logs and traces name them by the same ids; a task hands them on to the tasks that it starts.
"""

from contextvars import ContextVar
from typing import TypedDict, Unpack


class Ids(TypedDict, total=False):
    """All ids there are: `req_…`, `sess_…`, `resp_…` or `chatcmpl-…`, and a trace's 32 digits."""

    request: str
    session: str
    response: str
    trace: str


_NOTHING: Ids = {}
_ids: ContextVar[Ids] = ContextVar("ids", default=_NOTHING)
_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


def bind(**more: Unpack[Ids]) -> None:
    """From now on this task's work belongs to these as well."""
    _ids.set(_ids.get() | more)


def bound() -> Ids:
    """What this task's work belongs to."""
    return _ids.get()


def bind_traceparent(header: str | None) -> None:
    """Remember the caller's own trace, a W3C `traceparent`, or that there is none."""
    _traceparent.set(header)


def bound_traceparent() -> str | None:
    """The caller's own trace."""
    return _traceparent.get()
