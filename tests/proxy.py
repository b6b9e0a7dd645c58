"""A proxy in front of a server that counts, and cuts the connection where it is told to."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

import hiredis

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINERS = frozenset(
    (b"ACL", b"CLIENT", b"CONFIG", b"FUNCTION", b"OBJECT", b"PUBSUB", b"SCRIPT", b"SENTINEL", b"XGROUP", b"XINFO")
)
"""Commands whose second word says what they do."""

RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: closing says RST in place of FIN."""


class Commands:
    """Reads what one client sends."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._queued: str | None = None

    def kinds(self, data: bytes) -> Iterator[str]:
        """The kinds of the commands that end in it: `HSET`, `CONFIG GET`, the function's name of an FCALL.

        Of what is queued in a MULTI, only functions are kinds; EXEC is one with the last command, unless that is a function.
        """
        self._reader.feed(data)
        while (words := self._reader.gets()) is not False:
            word, *rest = words
            word = word.upper()
            kind: str | None = b" ".join((word, *rest[: word in CONTAINERS])).upper().decode()
            if word in {b"FCALL", b"FCALL_RO"}:
                kind = ""
                yield rest[0].decode()
            if word == b"EXEC":
                kind, self._queued = self._queued and f"EXEC {self._queued}", None
            elif self._queued is not None:
                kind, self._queued = "", kind
            elif word == b"MULTI":
                self._queued = ""
            if kind:
                yield kind


class Proxy:
    """Forwards connections to `port`. `cut_at`: bytes, both directions of all connections together, after which all is cut.

    `turns`: how often the client spoke after the server did, which is its round trips. `total`: bytes so far; `kinds`: of all
    commands so far, as Commands names them; `cut_kinds`: of those that `cut_command` has cut off, and whether after they had
    run. `refused`: a kind; whoever sends it is cut off. `refused_then`: the same from the next cut of a command on.
    """

    def __init__(self, port: int, cut_at: int | None = None) -> None:
        self._server_port = port
        self.cut_at = cut_at
        self.total = 0
        self.turns = 0
        self.cut = threading.Event()
        self._server_spoke = True
        self._stopping = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._clients: dict[socket.socket, Commands] = {}
        self.kinds: set[str] = set()
        self.cut_kinds: set[tuple[str, bool]] = set()
        self._armed: tuple[bytes, str, bool] | None = None
        self.refused = self.refused_then = ""
        self._deaf: set[socket.socket] = set()
        self.command_cut = threading.Event()

    def cut_command(self, word: bytes = b"", *, kind: str = "", after: bool) -> None:
        """Cuts the connection of the next command with this word, or of this kind: before the server has it, by a reset, or
        `after` the server has run it.

        `command_cut` is set when that has happened.
        """
        self.command_cut.clear()
        self._armed = (word, kind, after)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._wake.send(b"x")
        self._thread.join(10)
        self._close_pairs()
        for one in (self._listener, self._wake, self._woken):
            one.close()

    def turn_to(self, port: int) -> None:
        """Cuts all connections; new ones go to another server."""
        self._server_port = port
        self._wake.send(b"x")

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping:
                for key, _ in selector.select():
                    one = key.fileobj
                    assert isinstance(one, socket.socket)
                    if one is self._woken:
                        self._woken.recv(1)
                        self._drop_all(selector)
                    elif one is self._listener:
                        self._accept(selector)
                    elif one in self._pairs:
                        self._forward(selector, one)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        client, _ = self._listener.accept()
        if self.cut.is_set():
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            client.close()
            return
        self._pairs[client], self._pairs[server] = server, client
        self._clients[client] = Commands()
        selector.register(client, selectors.EVENT_READ)
        selector.register(server, selectors.EVENT_READ)

    def _forward(self, selector: selectors.BaseSelector, source: socket.socket) -> None:
        target = self._pairs[source]
        with contextlib.suppress(OSError):
            data = source.recv(65536)
            kinds = set(self._clients[source].kinds(data)) if data and source in self._clients else set()
            self.kinds |= kinds
            if self.refused in kinds:
                self._drop(selector, source)
                self._drop(selector, target)
                return
            if source in self._clients and self._wants(data, kinds):
                self._cut_one(selector, source, data, kinds)
                return
            if data and target in self._deaf:
                return
            if data:
                room = len(data) if self.cut_at is None else max(0, self.cut_at - self.total)
                self._count(source, data[:room])
                target.sendall(data[:room])
                if room < len(data):
                    self._cut_all(selector)
                return
        for one in (source, target):
            self._drop(selector, one)

    def _wants(self, data: bytes, kinds: set[str]) -> bool:
        if self._armed is None:
            return False
        word, kind, _ = self._armed
        return kind in kinds or (bool(word) and word in data)

    def _cut_one(self, selector: selectors.BaseSelector, client: socket.socket, data: bytes, kinds: set[str]) -> None:
        assert self._armed is not None
        *_, after = self._armed
        server = self._pairs[client]
        if after:  # the server reads all of it, then the end; what it says goes nowhere
            server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            client.shutdown(socket.SHUT_RDWR)  # raises if it was closed just then: the next one is cut
            selector.unregister(client)
            self._deaf.add(client)
        else:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._drop(selector, client)
            self._drop(selector, server)
        self._armed = None
        self.refused = self.refused_then or self.refused
        self.cut_kinds |= {(kind, after) for kind in kinds}
        self.command_cut.set()

    def _count(self, source: socket.socket, data: bytes) -> None:
        self.total += len(data)
        from_client = source in self._clients
        if from_client and self._server_spoke:
            self.turns += 1
        self._server_spoke = not from_client

    def _cut_all(self, selector: selectors.BaseSelector) -> None:
        self.cut.set()
        self._drop_all(selector)

    def _drop_all(self, selector: selectors.BaseSelector) -> None:
        for one in list(self._pairs):
            self._drop(selector, one)

    def _drop(self, selector: selectors.BaseSelector, one: socket.socket) -> None:
        if self._pairs.pop(one, None) is not None:
            if one not in self._deaf:
                selector.unregister(one)
            self._deaf.discard(one)
            one.close()

    def _close_pairs(self) -> None:
        for one in self._pairs:
            one.close()
        self._pairs.clear()
