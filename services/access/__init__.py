"""Who may use the service, and how much: keys, client secrets, limits, origins."""

from moss_speech.catalogue.keys import Scope
from services.access.access import Access
from services.access.callers import Caller, CallerLimits, RateLimit

__all__ = ["Access", "Caller", "CallerLimits", "RateLimit", "Scope"]
