"""A worker's own connection to the server: blocking, RESP3, made before the confinement and made again after a loss."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

import hiredis

from luasprocs.server.endpoint import CLIENT_NAME, Endpoint
from luasprocs.worker.replies import ErrorReply, Reader, TooLargeError, Typed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BufferedReader

    Address = tuple[socket.AddressFamily, Any, str]

READ_BYTES = 1 << 16


class LostError(Exception):
    """The connection is lost; the text says when, and what that means for the command."""


class RefusedError(Exception):
    """The server's error as a reply, on connecting."""


class Connection:
    """One connection. `limit_bytes`: how large a reply may be; `rested`: it was not used for a
    while, so that it may have been closed; `unreachable`: the last attempt to connect again failed.

    `servers`: host and port of those that may be the master, in place of the URL's; one that isn't is passed over.
    """

    def __init__(self, url: str, servers: Iterable[tuple[str, int]] = ()) -> None:
        found = Endpoint.of(url)
        self._endpoints = [found.at((host, port)) for host, port in servers] or [found]
        self._endpoint = self._endpoints[0]
        self._tls = self._endpoint.tls_context()  # now, as its files are out of reach later
        self._addresses = self._resolved()
        self._socket: socket.socket | None = None
        self._file: BufferedReader | None = None
        self.limit_bytes = 1 << 62
        self.unreachable = False
        self.rested = False
        self.server: dict[bytes, Any] = {}

    @property
    def host(self) -> str:
        """Of the server that it is connected to, or was last."""
        return self._endpoint.host

    @property
    def port(self) -> int:
        return self._endpoint.port

    @property
    def ports(self) -> set[int]:
        """The TCP ports; none of a Unix socket."""
        return set() if self._endpoint.path else {one.port for one in self._endpoints}

    @property
    def named(self) -> bool:
        """Whether the URL has a name, which stands for other addresses one day."""
        if self._endpoint.guides:
            return True
        try:
            host = self._endpoint.host
            socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        except OSError:
            return bool(self.ports)
        return False

    def call(self, *words: Any) -> Any:
        """Sends a command and reads its reply: see replies.py.

        Raises:
            LostError: the connection broke, or can't be made. TooLargeError: the reply passes the limit.
        """
        stream = self._ready()
        assert self._socket is not None  # noqa: S101
        try:
            self._socket.sendall(hiredis.pack_command(words))
            return self._read(stream, self.limit_bytes)
        except TooLargeError:
            self.close()
            raise
        except (OSError, EOFError, ValueError) as error:
            self.close()
            why = "nothing came in time" if isinstance(error, TimeoutError) else "the connection was lost"
            raise LostError(f"ERR {why}: it is unknown whether the server ran the command") from error
        except MemoryError:
            self.close()
            raise

    def open(self) -> None:
        """Connects, if it isn't connected.

        Raises:
            OSError: nothing answers. RefusedError: the server refuses user, password or db.
        """
        if self._socket is not None:
            return
        failure: OSError = OSError("its name has no address")
        for family, address, host in self._addresses:
            try:
                self._open(family, address, host)
            except OSError as error:
                failure = error
            else:
                return
        raise failure

    def _open(self, family: socket.AddressFamily, address: Any, host: str) -> None:
        self._socket = self._connected(family, address, host)
        if not self._endpoint.guides:
            self._socket.settimeout(self._endpoint.reply_timeout_s)
        self._file = cast("BufferedReader", self._socket.makefile("rb", buffering=READ_BYTES))
        try:
            self._greet()
            self._socket.settimeout(self._endpoint.reply_timeout_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends it; the next call connects anew."""
        if self._file is not None:
            self._file.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._file = None

    def _ready(self) -> BufferedReader:
        """A connection that was not closed meanwhile: the server says nothing unasked, so what can be read is its end."""
        if self._socket is not None and self.rested and self._was_closed():
            self.close()
        self.rested = False
        try:
            self.open()
        except (OSError, EOFError, ValueError, RefusedError) as error:
            self.unreachable = True
            raise LostError(f"ERR the server can't be reached: {error}. The command was not sent") from error
        self.unreachable = False
        assert self._file is not None  # noqa: S101
        return self._file

    def _was_closed(self) -> bool:
        assert self._socket is not None  # noqa: S101
        timeout = self._socket.gettimeout()
        try:
            self._socket.settimeout(0)
            # Of TLS, one byte is read instead of peeked at: nothing comes unasked but the end.
            return self._socket.recv(1, 0 if self._tls else socket.MSG_PEEK) is not None
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            self._socket.settimeout(timeout)

    def _resolved(self) -> list[Address]:
        """Addresses, looked up now: /etc/hosts and /etc/resolv.conf are out of reach later."""
        if self._endpoint.path:
            return [(socket.AF_UNIX, self._endpoint.path, "")]
        return [
            (socket.AddressFamily(family), address, one.host)
            for one in self._endpoints
            for family, _, _, _, address in socket.getaddrinfo(one.host, one.port, type=socket.SOCK_STREAM)
        ]

    def _connected(self, family: socket.AddressFamily, address: Any, host: str) -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.settimeout(self._endpoint.connect_timeout_s)
        try:
            made.connect(address)
            if family != socket.AF_UNIX:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._tls.wrap_socket(made, server_hostname=host) if self._tls else made
        except OSError:
            made.close()
            raise

    def _greet(self) -> None:
        login = ("AUTH", *self._endpoint.login) if self._endpoint.login else ()
        hello = self._asked("HELLO", "3", *login, "SETNAME", f"{CLIENT_NAME}-worker")
        pairs = hello.value if isinstance(hello, Typed) else []
        self.server = dict(pairs)
        if self._endpoint.guides and self.server.get(b"role", b"master") != b"master":
            raise OSError("it is a replica")
        if self._endpoint.db:
            self._asked("SELECT", self._endpoint.db)

    def _asked(self, *words: Any) -> Any:
        assert self._socket is not None  # noqa: S101
        assert self._file is not None  # noqa: S101
        self._socket.sendall(hiredis.pack_command(words))
        reply = self._read(self._file, 1 << 20)
        if isinstance(reply, ErrorReply):
            raise RefusedError(reply.text.decode("utf-8", "replace"))
        return reply

    def _read(self, stream: BufferedReader, limit_bytes: int) -> Any:
        return Reader(stream, limit_bytes).read()
