"""A live conversation between a client's events and the engine's: all of it, without sockets.

Nothing here waits: a client's event goes to `ask`, the engine's to `happen`, time to `tick`, and
what the client is told leaves through `tell`, in order.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from moss_speech.inference.prompts import read_turn
from moss_speech.inference.turns import (
    AudioDelta,
    Finished,
    Heard,
    LiveEvent,
    QuestionError,
    Refused,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    Turn,
    Usage,
)
from services.errors import ApiError, invalid, refused_fields
from services.realtime import asked, told
from services.realtime.asked import Asked, CreateItem, CreateResponse, TruncateItem
from services.realtime.config import answering_with, first_config, updated
from services.realtime.conversation import Conversation, Item, item_of
from services.realtime.listening import Listening, refusal
from services.realtime.messages import ItemReference, NewItem
from services.realtime.replying import Replying, model_metadata
from services.realtime.response import CODE_MS, Order, Response
from services.realtime.told import Tell
from services.realtime.wishes import ResponseWish, SessionWish
from services.talk import Talk


class Session:
    """One client, one conversation."""

    def __init__(
        self,
        talk: Talk,
        tell: Tell,
        *,
        on_answer: Callable[[Response], None],
        on_spent: Callable[[Usage], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._talk, self._tell = talk, tell
        self._config = first_config(talk.info, talk.engine.voices)
        self._conversation = Conversation()
        self._listening = Listening(talk, self._conversation, self._config, tell)
        self._replying = Replying(
            talk, self._conversation, self._config, tell,
            on_answer=on_answer, on_spent=on_spent, clock=clock,
        )  # fmt: skip
        self.calm = asyncio.Event()
        """Clear while the engine owes the end of a turn or of an answer; then nothing is asked."""
        self.calm.set()

    def open(self, settings: Mapping[str, Any] | None) -> None:
        """Greet the client, with the settings that its secret is bound to."""
        if settings is not None:
            try:
                update = {"type": "session.update", "session": {"type": "realtime", **settings}}
                wish = asked.UpdateSession.model_validate(update).session
            except ValidationError as error:
                raise refused_fields(error) from None
            self._configure(wish)
        self._tell(told.session(self._config, "created"))
        self._tell(told.conversation_created(self._conversation.id))
        self._replying.remember()

    def ask(self, event: Asked) -> None:
        """Do what the client asks, or tell it why not."""
        try:
            self._do(event)
        except ApiError as error:
            self._tell(told.error(error, event.event_id))
        self._settle()

    def _do(self, event: Asked) -> None:
        match event:
            case asked.UpdateSession():
                self._configure(event.session)
                self._tell(told.session(self._config, "updated"))
                self._replying.remember()
            case asked.AppendAudio():
                self._listening.append(event.audio, event.event_id)
            case asked.CommitAudio():
                self._listening.commit(event.event_id, lambda _: self._replying.remember())
            case asked.ClearAudio():
                self._listening.clear()
            case CreateItem():
                self._create_item(event)
            case asked.RetrieveItem():
                self._tell(told.retrieved(self._conversation.find(event.item_id, "retrieve")))
            case TruncateItem():
                self._truncate(event)
            case asked.DeleteItem():
                self._conversation.remove(self._conversation.find(event.item_id, "delete"))
                self._tell(told.deleted(event.item_id))
                self._replying.remember()
            case CreateResponse():
                self._create_response(event)
            case asked.CancelResponse():
                self._replying.cancel(event.response_id)

    def happen(self, event: LiveEvent) -> None:
        """Take what the engine made or noticed."""
        match event:
            case SpeechStarted():
                self._listening.started(event)
                self._replying.barge_in()
            case SpeechStopped():
                self._listening.stopped(event)
            case Heard():
                if self._listening.heard(event) is not None:
                    self._replying.answer_turn()
            case Refused(what="respond"):
                self._replying.refused(refusal(event))
            case Refused():
                self._listening.refused(event)
            case AudioDelta() | TextDelta() | Finished():
                self._replying.take(event)
        self._settle()

    def tick(self) -> None:
        """Notice that nobody has spoken for the idle timeout."""
        if self._listening.quiet and (idle_ms := self._replying.due()) is not None:
            self._listening.idle(idle_ms)
            self._replying.answer_turn()

    def fail(self, response: Response, error: ApiError) -> None:
        """End an answer that the caller may not have."""
        self._replying.fail(response, error)
        self._settle()

    @property
    def unpaid_tokens(self) -> int:
        """Tokens of an answer that is not over, as far as they were heard."""
        return self._replying.unpaid_tokens

    def _settle(self) -> None:
        if self._replying.ending or self._listening.waiting:
            self.calm.clear()
        else:
            self.calm.set()

    def _configure(self, wish: SessionWish) -> None:
        voices = self._talk.engine.voices
        self._config = updated(self._config, wish, voices, spoke=self._replying.spoke)
        self._replying.config = self._config
        self._listening.configure(self._config)

    def _create_item(self, event: CreateItem) -> None:
        new = event.item
        self._conversation.check(new.id, event.previous_item_id)
        if new.content[0].type != "input_audio":
            self._add(self._written(new, "item.content"), event.previous_item_id)
            return
        data = b"".join(part.audio or b"" for part in new.content)

        def heard(turn: Heard) -> None:
            self._add(item_of(new, turn.codes), event.previous_item_id)

        self._listening.encode(data, event.event_id, heard)

    def _add(self, item: Item, after: str | None) -> None:
        previous = self._conversation.add(item, after)
        self._tell(told.item("added", item, previous))
        self._tell(told.item("done", item, previous))
        self._replying.remember()

    def _truncate(self, event: TruncateItem) -> None:
        item = self._conversation.find(event.item_id, "truncate")
        if item.kind != "output_audio" or item.status == "in_progress":
            reason = "only a spoken answer that is over can be truncated"
            raise invalid(reason, "item_id", "item_truncate_invalid_item_id")
        held_ms = item.lead_ms + len(item.codes) * CODE_MS
        if event.audio_end_ms > held_ms:
            reason = f"audio_end_ms is {event.audio_end_ms}, the item lasts {held_ms} ms"
            raise invalid(reason, "audio_end_ms")
        spoken_ms = max(0, event.audio_end_ms - item.lead_ms)
        item.codes = item.codes[: -(-spoken_ms // CODE_MS)]
        item.audio = item.audio[: event.audio_end_ms * item.bytes_per_ms]
        self._tell(told.truncated(item.id, event.audio_end_ms))
        self._replying.remember()

    def _create_response(self, event: CreateResponse) -> None:
        wish, voices = event.response or ResponseWish(), self._talk.engine.voices
        order = Order(
            answering=answering_with(self._config.answering, wish, voices, "response"),
            metadata=(wish.metadata or {}) | model_metadata(self._talk),
            joins=wish.conversation == "auto",
        )
        items = None if wish.input is None else [self._meant(entry) for entry in wish.input]
        self._replying.respond(order, items)

    def _meant(self, entry: NewItem | ItemReference) -> Item:
        if isinstance(entry, ItemReference):
            return self._conversation.find(entry.id, "retrieve")
        if entry.content[0].type == "input_audio":
            reason = "response.input holds audio; create an item of it and refer to that by its id"
            raise invalid(reason, "response.input", "unsupported_content")
        return self._written(entry, "response.input")

    def _written(self, new: NewItem, where: str) -> Item:
        """An item of text; `ApiError` if the model would find no word in it."""
        item = item_of(new)
        try:
            read_turn(self._talk.engine.bundle, item.turn or Turn(new.role, text=""))
        except QuestionError as error:
            raise invalid(str(error), where, error.code) from error
        return item
