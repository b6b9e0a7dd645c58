"""The protocol of the server's own debugger, LDB: a command is an array of strings, an answer an array of lines.

https://redis.io/docs/latest/develop/programmability/lua-debugging/
"""

from __future__ import annotations

import contextlib
import re
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import hiredis

from luasprocs.contract.encoding import raw, text
from luasprocs.errors import ServerError
from luasprocs.server.endpoint import Endpoint
from sync.debugger.backend.values import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_BYTES = 1 << 16
REPLY_LIMIT_BYTES = 64 << 20
VALUE_CHARS = 16384
"""Where LDB cuts a value or a reply: more than a piece of inspect.lua."""
BREAKPOINTS_LIMIT = 64
PART_BYTES = 900
"""What is safe in a command: a session ends if one has 1024 bytes (on Redis, if one word has), or an empty word."""
_LONG = "luasprocs:debugger"
"""A key of the session: what is too long for a word is put together there, and gone again."""
_STOPPED = re.compile(r"\* Stopped at (\d+), stop reason = (.*)")
_FRAME = re.compile(r"(?:->|  )[ #](\d+)")
_IN = re.compile(r"(?:In|From) (.*):$")
_SAFE = (
    "local luasprocs_ok, luasprocs_found = pcall(function() %s\nend) if luasprocs_ok then return luasprocs_found end "
    "error(type(luasprocs_found) == 'table' and tostring(rawget(luasprocs_found, 'err')) or tostring(luasprocs_found), 0)"
)
"""An error that is no string would end the session of a Redis 7.0."""
_LOADED = "local chunk, problem = loadstring(code, '@ldb_eval') if chunk then return chunk() end error(problem, 0)"
_COMMAND = re.compile(r"<(redis|server|command)> ")


class SessionEndedError(ServerError):
    """The server has ended the session, or is gone."""


class LdbError(ServerError):
    """What the server says to a command that it refuses."""


class Said(NamedTuple):
    """A line of LDB beside where it stands. `kind`: command, reply, or debug (of redis.debug)."""

    kind: str
    text: str


class LdbAnswer(NamedTuple):
    """What a command that lets the script go on leads to.

    `line`: where it stands now, 0 after its end; `reason`: LDB's; `reply`: the script's, as hiredis gives it.
    """

    line: int
    reason: str
    said: Sequence[Said]
    reply: Any = None


class Ldb:
    """One connection. Raises SessionEndedError where the server goes away.

    `valkey`: to which product; `waiting`: an answer is still to come.
    """

    def __init__(self, url: str) -> None:
        endpoint = Endpoint.of(url)
        if endpoint.guides:
            raise ServerError("the debugger needs one server's URL: redis://, rediss:// or unix://")
        try:
            self._socket = _connected(endpoint)
        except OSError as error:
            raise ServerError(f"the server can't be reached: {error}") from error
        self._stops: list[int] = []
        self._closed = False
        self.valkey = self.waiting = False
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
        if endpoint.login:
            self._checked("AUTH", *endpoint.login)
        if endpoint.db:
            self._checked("SELECT", str(endpoint.db))
        with contextlib.suppress(LdbError):
            self.valkey = "valkey_version" in str(self._checked("INFO", "server"))

    def begin(self, script: bytes, keys: Sequence[bytes], args: Sequence[bytes]) -> LdbAnswer:
        """Forks a session of the server and stands before the script's first line; what it writes is rolled back."""
        self._checked("SCRIPT", "DEBUG", "YES")
        answer = self.advance("EVAL", script, str(len(keys)), *keys, *args)
        self.ask("maxlen", str(VALUE_CHARS))
        return answer

    def advance(self, *words: str | bytes) -> LdbAnswer:
        """Lets the script go on until it stops again or ends."""
        lines = self._checked(*words)
        said, line, reason = [], 0, ""
        for one in lines if isinstance(lines, list) else ():
            told = str(one)
            if found := _STOPPED.match(told):
                line, reason = int(found[1]), found[2]
            elif found := _COMMAND.match(told):
                said.append(Said("command", told[found.end() :]))
            elif told.startswith("<reply> "):
                said.append(Said("reply", told.removeprefix("<reply> ")))
            elif told.startswith("<debug> "):
                said.append(Said("debug", told.removeprefix("<debug> ")))
            elif told == "<endsession>":
                return LdbAnswer(0, "", said, self._read())
        return LdbAnswer(line, reason, said)

    def stop_at(self, lines: Sequence[int]) -> None:
        """The script's lines to stop at, in place of those before: at most BREAKPOINTS_LIMIT, those that change last.

        A server that removes one loses the last one that was set, so none but the last is removed (ldbDelBreakpoint moves as many
        bytes as it should move numbers).
        """
        while not set(lines) >= set(self._stops):
            self.ask("break", str(-self._stops.pop()))
        for line in lines:
            if line not in self._stops:
                self.ask("break", str(line))  # one a command: it takes no more
                self._stops.append(line)

    def trace(self) -> list[tuple[str, int]]:
        """The functions that run, the innermost first: each by its name and the script's line."""
        frames, name = [], ""
        for line in self.ask("trace"):
            if found := _IN.match(line):
                name = found[1]
            elif found := _FRAME.match(line):
                frames.append((name, int(found[1])))
        return frames

    def value(self, name: str) -> str | None:
        """The local of that name in the innermost function that has one, as LDB writes it."""
        line = next(iter(self.ask("print", name)), "")
        return line.removeprefix("<value> ") if line.startswith("<value> ") else None

    def evaluate(self, code: str) -> tuple[bool, str]:
        """Whether Lua took a chunk that sees globals alone, and the value or the error."""
        wrapped = raw(_SAFE % code)
        if len(wrapped) > PART_BYTES:
            for at in range(0, len(wrapped), PART_BYTES):
                self.ask("redis", "APPEND", _LONG, wrapped[at : at + PART_BYTES])
            wrapped = raw(f"local code = redis.call('GET', '{_LONG}') redis.call('DEL', '{_LONG}') {_LOADED}")
        lines = self.ask("eval", wrapped)
        line = next((one for one in lines if one.startswith(("<retval> ", "<error> "))), "")  # behind what it says
        if line.startswith("<retval> "):
            return True, line.removeprefix("<retval> ")
        return False, line.removeprefix("<error> ").removeprefix("Error compiling code: ")

    def command(self, words: Sequence[str | bytes]) -> str:
        """Does a Redis command in the session, and returns its reply as LDB writes it."""
        if not all(words) or len(words) * 8 + sum(map(len, map(raw, map(text, words)))) > PART_BYTES:
            call = f"redis.call({', '.join(quoted(text(word)) for word in words)})"
            return self.evaluate(f"local found = {call} return type(found) == 'table' and found.ok or found")[1]
        lines = self.ask("redis", *words)
        said = [line for line in lines if not _COMMAND.match(line)]
        replies = [line.removeprefix("<reply> ") for line in said if line.startswith("<reply> ")]
        return "\n".join(replies or said)  # an error's reply, and the same again in other words

    def ask(self, *words: str | bytes) -> list[str]:
        """The lines of an answer."""
        lines = self._checked(*words)
        found = [str(line) for line in lines] if isinstance(lines, list) else []
        if "<endsession>" in found:
            raise SessionEndedError("the server has ended the session")
        return found

    def close(self) -> None:
        """Ends it, also from another thread while this one waits: the server rolls back whatever was written."""
        self._closed, self.waiting = True, False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _checked(self, *words: str | bytes) -> Any:
        packed: tuple[Any, ...] = words
        self.waiting = True
        try:
            self._socket.sendall(hiredis.pack_command(packed))
        except OSError as error:
            raise self._lost(error) from error
        reply = self._read()
        self.waiting = False
        if isinstance(reply, hiredis.ReplyError):
            raise LdbError(str(reply))
        return reply

    def _read(self) -> Any:
        size = 0
        try:
            while (reply := self._reader.gets()) is False:
                data = self._socket.recv(READ_BYTES)
                size += len(data)
                if not data or size > REPLY_LIMIT_BYTES:
                    raise SessionEndedError("the server ended the session" if not data else "an answer is too large")
                self._reader.feed(data)
        except (OSError, hiredis.ProtocolError) as error:
            raise self._lost(error) from error
        return reply

    def _lost(self, error: Exception) -> SessionEndedError:
        return SessionEndedError(
            "the session has ended" if self._closed else f"the connection to the server is lost: {error}"
        )


def _connected(endpoint: Endpoint) -> socket.socket:
    if endpoint.path:
        made = socket.socket(socket.AF_UNIX)
        made.connect(endpoint.path)
        return made
    made = socket.create_connection(endpoint.address, endpoint.connect_timeout_s)
    made.settimeout(None)  # a script runs as long as it runs
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = endpoint.tls_context()
    return context.wrap_socket(made, server_hostname=endpoint.host) if context else made
