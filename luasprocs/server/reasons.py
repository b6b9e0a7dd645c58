"""Why a connection did not come about, in the system's own words."""

from __future__ import annotations

import os
import re
import socket
import ssl

_NO_TLS, _WANTS_TLS = re.compile(r"SSL|[Tt]imeout|in time"), re.compile(r"closed|reset by peer|\\x15")
_NUMBER = re.compile(r"\[Errno (\d+)\]")


def reason(error: BaseException) -> str:
    """What an error says, or of one that the system caused what that says, without the address: messages name it."""
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if not isinstance(cause, OSError) or isinstance(cause, (ssl.SSLError, TimeoutError)):
        return str(error)
    if isinstance(cause, socket.gaierror):
        return cause.strerror or str(error)
    # asyncio puts all addresses of a name into one error, which has no number.
    numbers = [cause.errno] if cause.errno else map(int, dict.fromkeys(_NUMBER.findall(str(cause))))
    return "; ".join(map(os.strerror, numbers)) or str(error)


def suspects_tls(said: str, *, tls: bool) -> bool:
    """Whether it looks as if one side spoke TLS and the other did not. `tls`: whether we do."""
    return "certificate" not in said and bool((_NO_TLS if tls else _WANTS_TLS).search(said))
