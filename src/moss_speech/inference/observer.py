"""What the engine tells whoever watches it; it knows nothing of who that is."""

from typing import Literal, Protocol

from moss_speech.inference.turns import Finish

Kind = Literal["listen", "read", "think", "speak"]


class Observer(Protocol):
    """Told from the engine's thread; must return at once."""

    def engine_step(self, kind: Kind, seconds: float, batch: int) -> None:
        """One piece of work: its kind, how long it took, for how many conversations."""

    def session(self, delta: int) -> None:
        """A conversation began (1) or ended (-1)."""

    def waiting(self, delta: int) -> None:
        """So many more answers, or fewer, are asked for and have not begun to sound."""

    def first_audio(self, seconds: float) -> None:
        """An answer began to sound, so long after it was asked for."""

    def underrun(self, seconds: float) -> None:
        """Sound came so much later than what was there before had been played."""

    def finished(self, finish: Finish, audio_s: float, busy_s: float) -> None:
        """An answer ended: its length, and how long it was under way."""


class Silent:
    """Nobody watches."""

    def engine_step(self, kind: Kind, seconds: float, batch: int) -> None:
        """Say nothing."""

    def session(self, delta: int) -> None:
        """Say nothing."""

    def waiting(self, delta: int) -> None:
        """Say nothing."""

    def first_audio(self, seconds: float) -> None:
        """Say nothing."""

    def underrun(self, seconds: float) -> None:
        """Say nothing."""

    def finished(self, finish: Finish, audio_s: float, busy_s: float) -> None:
        """Say nothing."""


SILENT = Silent()
