"""The server's side of a conversation: the answer under way, and when the next one is due."""

import time
from collections.abc import Callable

from moss_speech.inference.turns import AudioDelta, Finished, Reply, TextDelta, Turn, Usage
from moss_speech.settings import settings
from services.errors import ApiError, invalid
from services.ids import bind
from services.mark import mark_of
from services.realtime.config import Answering, Config
from services.realtime.conversation import Conversation, Item, turns_of
from services.realtime.response import Cancelled, Order, Response
from services.realtime.told import Tell
from services.talk import Talk

MAX_METADATA = 512
"""Characters of a value in the protocol."""


def model_metadata(talk: Talk) -> dict[str, str]:
    """What every answer says of the model that made it."""
    parents = talk.engine.lineage["parents"].items()
    lineage = " ".join(f"{name}:{digest[:12]}" for name, digest in parents)
    mark = mark_of(talk.info).comment
    return {
        "moss.version": talk.info.version,
        "moss.digest": talk.info.digest,
        "moss.lineage": lineage[:MAX_METADATA],
        **({"moss.synthetic": mark} if mark else {}),
    }


class Replying:
    """At most one answer under way; at most one more is owed to the user."""

    def __init__(
        self,
        talk: Talk,
        conversation: Conversation,
        config: Config,
        tell: Tell,
        *,
        on_answer: Callable[[Response], None],
        on_spent: Callable[[Usage], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._talk, self._conversation, self._tell = talk, conversation, tell
        self._on_answer, self._on_spent, self._clock = on_answer, on_spent, clock
        self.config = config
        self._response: Response | None = None
        self._owed = False
        self.spoke = False
        """Whether an answer was heard."""
        self.idle_at_s: float | None = None
        """When the silence after an answer has lasted for the idle timeout."""

    @property
    def ending(self) -> bool:
        """Whether the engine owes the end of an answer that was cut off."""
        return self._response is not None and self._response.ending

    @property
    def unpaid_tokens(self) -> int:
        """Codes of the answer under way whose sound went out."""
        return 0 if self._response is None else self._response.n_codes

    def usual_order(self) -> Order:
        """An answer as the session's settings say."""
        return Order(self.config.answering, model_metadata(self._talk), joins=True)

    def remember(self) -> None:
        """Let the engine read the conversation before it is asked for an answer."""
        if self._response is None:
            how = self.config.answering
            self._talk.remember(self._turns(self._conversation.items, how), how.output)

    @staticmethod
    def _turns(items: list[Item], how: Answering) -> list[Turn]:
        return turns_of(items, how.output, how.instructions, settings().session_rows)

    def respond(self, order: Order, items: list[Item] | None = None) -> None:
        """Answer the conversation, or `items`; `ApiError` while another answer is under way."""
        if self._response is not None:
            reason = f"the answer {self._response.id} is under way; cancel it, or wait for its end"
            raise invalid(reason, None, "conversation_already_has_active_response")
        how, engine = order.answering, self._talk.engine
        chosen = self._conversation.items if items is None else items
        turns = self._turns(chosen, how)
        wish = self._talk.wish(
            how.output,
            max_rows=how.max_rows,
            voice=how.voice,
            drop_oldest=self.config.truncation == "auto",
        )
        rate_hz = engine.sample_rate_hz
        opening_S = None if self.spoke else mark_of(self._talk.info).opening(rate_hz)
        self._response = Response(order, self._conversation, self._tell, rate_hz, opening_S)
        self.idle_at_s = None
        bind(response=self._response.id)
        self._response.begin()
        self._talk.respond(turns, wish)
        self._on_answer(self._response)

    def answer_turn(self) -> None:
        """Answer what voice activity heard, now or once the answer under way is over."""
        if self.config.vad is None or not self.config.vad.create_response:
            self.remember()
        elif self._response is not None:
            self._owed = True
        else:
            self.respond(self.usual_order())

    def barge_in(self) -> None:
        """The user speaks: be silent, if the settings say so."""
        self.idle_at_s = None
        vad, response = self.config.vad, self._response
        interrupts = vad is not None and vad.interrupt_response
        if interrupts and response is not None and response.order.joins:
            self._stop(response, "turn_detected")

    def cancel(self, response_id: str | None) -> None:
        """Stop as the client asked; `ApiError` if there is nothing to stop."""
        response = self._response
        if response is None or response_id not in (None, response.id):
            reason = "there is no such answer under way to cancel"
            raise invalid(reason, "response_id", "response_cancel_not_active")
        self._stop(response, "client_cancelled")

    def _stop(self, response: Response, why: Cancelled) -> None:
        if not response.ending:
            response.cancelled = why
            self._talk.cancel()

    def fail(self, response: Response, error: ApiError) -> None:
        """End an answer that the caller may not have."""
        if response is self._response and not response.ending:
            response.failure = error
            self._talk.cancel()

    def take(self, event: AudioDelta | TextDelta | Finished) -> None:
        """Send a piece of the answer, or its end; nothing of an answer that was cut off."""
        response = self._response
        if response is None:
            return
        if isinstance(event, Finished):
            self._finish(response, event.reply)
        elif response.ending:
            return
        elif isinstance(event, AudioDelta):
            response.say(event.samples)
        else:
            response.write(event.text)

    def refused(self, error: ApiError) -> None:
        """The engine does not answer."""
        if self._response is not None:
            self._response.refuse(error)
            self._over()

    def due(self) -> int | None:
        """The idle timeout in ms, once, when it has passed."""
        vad, at_s = self.config.vad, self.idle_at_s
        if vad is None or at_s is None or self._clock() < at_s:
            return None
        self.idle_at_s = None
        return vad.idle_timeout_ms

    def _finish(self, response: Response, reply: Reply) -> None:
        response.finish(reply)
        self.spoke = self.spoke or response.n_samples > 0
        self._on_spent(reply.usage)
        if self.config.vad and self.config.vad.idle_timeout_ms and response.order.joins:
            quiet_ms = response.played_ms + self.config.vad.idle_timeout_ms
            self.idle_at_s = self._clock() + quiet_ms / 1000
        self._over()

    def _over(self) -> None:
        self._response = None
        if self._owed:
            self._owed = False
            self.respond(self.usual_order())
        else:
            self.remember()
