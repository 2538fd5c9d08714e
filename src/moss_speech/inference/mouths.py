"""Who speaks sits in a room with others of the same voice: one call speaks for all of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from moss_speech.decoder.at_once import WholeRoom, WholeStream
from moss_speech.decoder.model import SpeechDecoder
from moss_speech.decoder.room import Room, Stream
from moss_speech.decoder.voice import Voice

AnyRoom = Room | WholeRoom
AnyStream = Stream | WholeStream


@dataclass(frozen=True, eq=False)
class Mouth:
    """One answer being spoken, and the room it sits in."""

    room: AnyRoom
    stream: AnyStream


class Mouths:
    """The rooms of all voices; a new one is opened when all of a voice are full."""

    def __init__(self, decoder: SpeechDecoder, slots: int) -> None:
        self._decoder, self._slots = decoder, slots
        self._rooms: dict[int, tuple[Voice, list[AnyRoom]]] = {}

    def join(self, voice: Voice) -> Mouth:
        """Begin to speak; the fullest room that has a place is taken, so that others empty."""
        _, rooms = self._rooms.setdefault(id(voice), (voice, []))
        free = [room for room in rooms if room.free_slots]
        if not free:
            rooms.append(self._decoder.room(voice, self._slots))
            free = rooms[-1:]
        room = min(free, key=lambda r: r.free_slots)
        return Mouth(room, room.join())

    def leave(self, mouth: Mouth) -> None:
        """End it; of a voice's empty rooms one is kept."""
        mouth.stream.leave()
        for _, rooms in self._rooms.values():
            empty = [room for room in rooms if room.free_slots == self._slots]
            for room in empty[1:]:
                rooms.remove(room)

    def rooms(self) -> Iterator[AnyRoom]:
        """All rooms."""
        for _, rooms in self._rooms.values():
            yield from rooms
