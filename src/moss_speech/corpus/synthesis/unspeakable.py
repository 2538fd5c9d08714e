"""What cannot be said aloud."""


class UnspeakableError(Exception):
    """A text that is dropped: reason, value and what is allowed."""

    def __init__(self, reason: str, value: str, allowed: str) -> None:
        super().__init__(f"{reason}: {value}, allowed {allowed}")
        self.reason, self.value, self.allowed = reason, value, allowed
