"""redis-py's TLS connection, whose handshake ends in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    import socket
    import ssl


class TLSConnection(redis.SSLConnection):
    """One whose TLS handshake must end within the connect timeout, as asyncio's must: to a handshake a server without
    TLS says nothing, ever.
    """

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        sock.settimeout(self.socket_connect_timeout)
        wrapped: ssl.SSLSocket = super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        wrapped.settimeout(self.socket_timeout)
        return wrapped
