"""Who may use the service, and how much: keys, client secrets, limits, origins."""

from services.access.access import Access
from services.access.callers import Caller, CallerLimits, RateLimit, Scope

__all__ = ["Access", "Caller", "CallerLimits", "RateLimit", "Scope"]
