"""A TCP proxy that fails on purpose: at once, or when a client says certain words."""

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Cut:
    """Fail when a client has sent every one of `words`, in turn.

    The last of them is lost on its way (`request`), or done and its answer lost (`answer`).
    """

    words: tuple[bytes, ...]
    lost: Literal["request", "answer"]


@dataclass
class Proxy:
    """Forwards a loopback port to another; `cut` and `down` make it fail until `heal`."""

    target: int
    cut: Cut | None = None
    is_down: bool = False
    _seen: int = 0
    _open: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def fail_at(self, cut: Cut) -> None:
        """Go down when a client says so."""
        self.cut, self._seen = cut, 0

    def down(self) -> None:
        """End every connection and take no more."""
        self.is_down, self.cut = True, None
        for end in tuple(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Work again."""
        self.is_down, self.cut = False, None

    def close(self) -> None:
        """Stop."""
        self.down()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.is_down:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                self._open |= {client, server}
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_BLOCK):
                if self._waits_for_answer():
                    break  # what came back is lost with the connection
                sink.sendall(data)
        self._end(source, sink)

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_BLOCK):
                if self._says_the_last_word(data):
                    assert self.cut is not None
                    if self.cut.lost == "request":
                        break
                server.sendall(data)
        self._end(client, server)

    def _says_the_last_word(self, data: bytes) -> bool:
        while self.cut and self._seen < len(self.cut.words) and self.cut.words[self._seen] in data:
            self._seen += 1
        return self._waits_for_answer()

    def _waits_for_answer(self) -> bool:
        return self.cut is not None and self._seen == len(self.cut.words)

    def _end(self, *ends: socket.socket) -> None:
        if self._waits_for_answer():
            self.down()
        for end in ends:
            self._open.discard(end)
            with suppress(OSError):  # another thread may still read it, which keeps it open
                end.shutdown(socket.SHUT_RDWR)
            end.close()
