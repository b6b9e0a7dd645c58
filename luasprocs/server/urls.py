"""Redis URLs: what they may hold, and how to show them. Pure; needs no Redis client.

A URL is `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or `unix://[user:password@]/path[?db=N]`,
with options behind a question mark (`?ssl_ca_certs=/etc/ca.pem`), named as redis-py names them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from luasprocs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

SCHEMES = ("redis", "rediss", "unix")


SHORTEST_S, LONGEST_S = 0.001, 1_000_000


def _seconds(value: str) -> bool:
    return SHORTEST_S <= float(value) <= LONGEST_S


_SHOWN_OPTIONS: dict[str, Callable[[str], bool]] = {
    "db": str.isdecimal,
    "socket_timeout": _seconds,
    "socket_connect_timeout": _seconds,
    "health_check_interval": str.isdecimal,
    "max_connections": lambda value: int(value) > 0,
    "client_name": str.isprintable,
    "ssl_ca_certs": bool,
    "ssl_ca_path": bool,
    "ssl_certfile": bool,
    "ssl_keyfile": bool,
    "ssl_cert_reqs": {"none", "optional", "required"}.__contains__,
    "ssl_check_hostname": {"yes", "no", "true", "false", "1", "0"}.__contains__,
    "ssl_ciphers": bool,
}
_OPTIONS = {**_SHOWN_OPTIONS, "username": bool, "password": bool, "ssl_password": bool}


def checked(url: str) -> SplitResult:
    """The URL's parts.

    Raises:
        SettingsError: it can't be used. Its text quotes nothing of the URL that may belong to a password.
    """
    try:
        parts = urlsplit(url)
        host, usable = unquote(parts.hostname or ""), url.partition("://")[0] in SCHEMES and parts.port != 0
        host.encode("idna")  # as a look-up does, which would raise UnicodeError
    except ValueError:
        usable = False
    if not usable or parts.fragment or not (url + host + unquote(parts.path)).isprintable():
        raise SettingsError(
            "the Redis URL can't be used: it is redis://[user:password@]host[:port][/db], rediss://… or "
            "unix:///path; in a password, write / ? # @ : as %2F %3F %23 %40 %3A"
        )
    if parts.scheme == "unix" and (len(parts.path) < 2 or host):
        raise SettingsError("the Redis URL can't be used: unix:// needs a socket's whole path: unix:///run/redis.sock")
    if parts.scheme != "unix" and not re.fullmatch(r"(/[0-9]*)?", parts.path):
        raise SettingsError("the Redis URL can't be used: the db's number follows the host, as in /0")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        _check_option(parts.scheme, name, value)
    return parts


def _check_option(scheme: str, name: str, value: str) -> None:
    if name not in _OPTIONS:
        known = ", ".join(sorted(_OPTIONS))
        raise SettingsError(f"the Redis URL has an unknown option, or a ? in its password; options are {known}")
    if name.startswith("ssl_") and scheme != "rediss":
        raise SettingsError(f"the Redis URL's option {name} needs TLS: write rediss://")
    try:
        usable = _OPTIONS[name](value)
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f"the Redis URL's option {name} has a value that can't be used")


def redacted(url: str) -> str:
    """The URL without anything secret; of one that can't be used at most the scheme."""
    try:
        parts = checked(url)
    except SettingsError:
        scheme = url.partition("://")[0]
        return f"{scheme}://***" if scheme in SCHEMES else "***"
    # A user without a password is, more often than not, a password that lacks its colon.
    user = f"{parts.username or ''}:***@" if parts.password else "***@" if parts.username else ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    shown = [(name, value) for name, value in parse_qsl(parts.query) if name in _SHOWN_OPTIONS]
    query = "?" + urlencode(shown, quote_via=quote, safe="/") if shown else ""
    text = f"{parts.scheme}://{user}{host}{port}{parts.path}{query}"
    return "".join(character if character.isprintable() else "?" for character in text)
