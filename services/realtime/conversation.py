"""The items of a conversation: what the client sees of them and what the model is told."""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from moss_speech.inference.turns import Output, Role, Turn
from moss_speech.lm.grid import SYSTEM
from services.errors import ApiError, invalid
from services.realtime.messages import NewItem

MAX_ITEMS = 2000
_CHARS_PER_ROW, _ROWS_PER_TURN = 8, 5
"""Of text, seldom more; beside what is said."""
MAX_AUDIO_BYTES = 6 * 2**20
"""Sound that a conversation keeps for clients that ask for it: two minutes of PCM."""

Kind = Literal["input_text", "input_audio", "output_text", "output_audio"]
Status = Literal["completed", "incomplete", "in_progress"]


def new_id(prefix: str) -> str:
    """An id that nobody guesses."""
    return f"{prefix}_{secrets.token_hex(12)}"


@dataclass
class Item:
    """One message: texts, or speech as codes for the model and as sound for the client."""

    id: str
    role: Role
    kind: Kind
    texts: list[str] = field(default_factory=list)
    codes: tuple[int, ...] = ()
    audio: bytes = b""
    """In the wire format in which it was heard or said; empty if it is not kept any more."""
    bytes_per_ms: int = 0
    lead_ms: int = 0
    """Sound before that of the codes: the mark of synthetic speech."""
    status: Status = "completed"

    @property
    def turn(self) -> Turn | None:
        """What the model is told; None if nothing was said."""
        if self.codes:
            return Turn(self.role, codes=self.codes)
        text = " ".join(self.texts).strip()
        return Turn(self.role, text=text) if text else None

    def _parts(self, with_audio: bool) -> list[dict[str, Any]]:
        if self.status == "in_progress":
            return []
        if self.kind in ("input_text", "output_text"):
            return [{"type": self.kind, "text": text} for text in self.texts]
        part = {"type": self.kind, "transcript": "" if self.kind == "output_audio" else None}
        audio = base64.b64encode(self.audio).decode() if with_audio and self.audio else None
        return [part | {"audio": audio} if with_audio else part]

    def wire(self, with_audio: bool = False) -> dict[str, Any]:
        """The item as events name it; its sound only where it was asked for."""
        return {
            "id": self.id,
            "object": "realtime.item",
            "type": "message",
            "status": self.status,
            "role": self.role,
            "content": self._parts(with_audio),
        }


def item_of(new: NewItem, codes: tuple[int, ...] = ()) -> Item:
    """The item that a client wrote; its recordings come as codes."""
    texts = [part.text for part in new.content if part.text is not None]
    audio = b"".join(part.audio or b"" for part in new.content)
    return Item(new.id or new_id("item"), new.role, new.content[0].type, texts, codes, audio)


def _rows(turn: Turn) -> int:
    """Rows that a turn takes, or a few less."""
    said = len(turn.text) // _CHARS_PER_ROW if turn.text is not None else len(turn.codes or ())
    return _ROWS_PER_TURN + said


def _newest(turns: list[Turn], max_rows: int) -> list[Turn]:
    """The turns that may fit, and one more: where they do not, the engine has the last word."""
    n_rows = 0
    for i in range(len(turns) - 1, -1, -1):
        n_rows += _rows(turns[i])
        if n_rows > max_rows:
            return turns[i:]
    return turns


def turns_of(items: Iterable[Item], output: Output, instructions: str, max_rows: int) -> list[Turn]:
    """What the model is told: the published system text with every instruction, then the turns.

    Of those, no more than about `max_rows`: a long history must not cost time at every answer.
    """
    said = [turn for item in items if (turn := item.turn)]
    orders = [turn.text for turn in said if turn.role == "system" and turn.text]
    opening = " ".join([SYSTEM[output], *([instructions] if instructions else []), *orders])
    spoken = [turn for turn in said if turn.role != "system"]
    return [Turn("system", text=opening), *_newest(spoken, max_rows)]


class Conversation:
    """Items in their order, bounded in number and in kept sound."""

    def __init__(self) -> None:
        self.id = new_id("conv")
        self.items: list[Item] = []

    def find(self, item_id: str, verb: str) -> Item:
        """The item by its id; `ApiError` for an unknown one, for what `verb` says."""
        if item := next((i for i in self.items if i.id == item_id), None):
            return item
        reason = f"there is no item with this id to {verb}"
        raise ApiError(404, reason, code=f"item_{verb}_invalid_item_id", param="item_id")

    def check(self, item_id: str | None, after: str | None) -> None:
        """`ApiError` if an item with this id cannot be put there."""
        ids = [item.id for item in self.items]
        if item_id in ids:
            raise invalid("an item with this id exists", "item.id", "duplicate_item_id")
        if after not in (None, "root", *ids):
            reason = "there is no item with this id to put the new one after"
            raise invalid(reason, "previous_item_id", "invalid_previous_item_id")
        if len(ids) >= MAX_ITEMS:
            reason = f"the conversation holds {len(ids)} items, may hold {MAX_ITEMS}; delete some"
            raise invalid(reason, None, "conversation_full")

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item at the end, after another one, or after `root`; the id before it."""
        ids = [i.id for i in self.items]
        place = 0 if after == "root" else ids.index(after) + 1 if after else len(ids)
        self.items.insert(place, item)
        self.forget_audio()
        return ids[place - 1] if place else None

    def remove(self, item: Item) -> None:
        """Forget an item."""
        self.items.remove(item)

    def forget_audio(self) -> None:
        """Drop the oldest sound above the bound; codes stay."""
        held = 0
        for item in reversed(self.items):
            held += len(item.audio)
            if held > MAX_AUDIO_BYTES:
                item.audio = b""
