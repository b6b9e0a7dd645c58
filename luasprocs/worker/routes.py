"""The nodes of a cluster, for a job whose keys are on several: its commands go where the cluster says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from luasprocs.server.slots import slot_of
from luasprocs.server.states import is_elsewhere, is_moving, is_read_only, redirection
from luasprocs.worker.connection import Connection
from luasprocs.worker.replies import ErrorReply

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Address = tuple[str, int]

REDIRECTIONS = 40
REST_S = 0.05
PATIENCE_S = 20.0
"""While a slot moves, or a primary is replaced."""


class Routes:
    """`first`: the connection to the shard that the jobs are of; the others are opened when they are needed.

    `addresses`: of all nodes, looked up now: names are out of reach later. None on a single server.
    """

    def __init__(self, url: str, first: Connection, addresses: Iterable[Address] = ()) -> None:
        self._url, self.first = url, first
        self._others = {address: Connection(url, (address,)) for address in addresses}

    @property
    def ports(self) -> set[int]:
        """The TCP ports of all."""
        return self.first.ports.union(*(one.ports for one in self._others.values()))

    def call(self, words: Sequence[Any], command: Sequence[bytes] = ()) -> Any:
        """A reply. `command`: what a function of the engine runs, as its keys are not the call's own.

        Raises:
            LostError: a connection broke, or can't be made. TooLargeError: the reply passes the limit.
        """
        reply = self.first.call(*words)
        if not self._others:
            return reply
        connection, asking, redirections = self.first, False, 0
        end_s = time.monotonic() + PATIENCE_S
        while type(reply) is ErrorReply and redirections < REDIRECTIONS and time.monotonic() < end_s:
            if found := redirection(reply.text):
                redirections += 1
                asking, address = found
                connection = self._at(address)
            elif command and (is_elsewhere(reply.text) or is_read_only(reply.text)):
                before, connection, asking = connection, self._owner(command), False
                if connection is before:
                    time.sleep(REST_S)
            elif is_moving(reply.text) or is_read_only(reply.text):
                time.sleep(REST_S)
            else:
                return reply
            if asking:
                connection.call("ASKING")
            reply = connection.call(*words)
        return reply

    def _owner(self, command: Sequence[bytes]) -> Connection:
        """The connection to the primary that serves a command's first key, as the first one's server says."""
        keys = self.first.call("COMMAND", "GETKEYS", *command)
        if type(keys) is ErrorReply or not keys:
            return self.first
        slot = slot_of(keys[0])
        for first, last, (host, port, *_), *_ in self.first.call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return self._at((host.decode() if host else "", port))
        return self.first

    def _at(self, address: Address) -> Connection:
        """`address`: as a node says it; without a host it is the first one's."""
        found = address if address[0] else (self.first.host, address[1])
        if found == (self.first.host, self.first.port):
            return self.first
        if found not in self._others:
            self._others[found] = Connection(self._url, (found,))
        other = self._others[found]
        other.limit_bytes, other.rested = self.first.limit_bytes, True
        return other
