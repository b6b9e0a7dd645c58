"""Redis URLs: what they may hold, and how to show them. Pure; needs no Redis client.

A URL is `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or `unix://[user:password@]/path[?db=N]`,
with options behind a question mark (`?ssl_ca_certs=/etc/ca.pem`), named as redis-py names them. Sentinels are asked by
`redis+sentinel://[user:password@]host[:port],host[:port]…/NAME[/db]`, or `rediss+sentinel://`; user and password are for the
server. Nodes of a cluster are named by `redis+cluster://[user:password@]host[:port],host[:port]…`, or `rediss+cluster://`;
`?shard=TAG` is for luasprocs itself: the one primary that serves that tag's slot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from luasprocs.errors import SettingsError
from luasprocs.server.slots import is_tag

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
GUIDED_SCHEMES = (*SENTINEL_SCHEMES, *CLUSTER_SCHEMES)
TLS_SCHEMES = ("rediss", "rediss+sentinel", "rediss+cluster")
SCHEMES = ("redis", "rediss", "unix", *GUIDED_SCHEMES)
_SENTINEL_LIKE = ("sentinel", "sentinels", "redis-sentinel", "rediss-sentinel", "sentinel+redis")
_CLUSTER_FORM = "redis+cluster://[user:password@]host[:port],host…, or rediss+cluster://… with TLS"
_SENTINEL_FORM = "redis+sentinel://[user:password@]host[:port],host…/NAME[/db], or rediss+sentinel://… with TLS"

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
    "shard": is_tag,
    "ssl_ca_certs": bool,
    "ssl_ca_path": bool,
    "ssl_certfile": bool,
    "ssl_keyfile": bool,
    "ssl_cert_reqs": {"none", "optional", "required"}.__contains__,
    "ssl_check_hostname": {"yes", "no", "true", "false", "1", "0"}.__contains__,
    "ssl_ciphers": bool,
}
_SENTINEL_OPTIONS: dict[str, Callable[[str], bool]] = {"sentinel_username": bool, "sentinel_password": bool}
_OPTIONS = {**_SHOWN_OPTIONS, **_SENTINEL_OPTIONS, "username": bool, "password": bool, "ssl_password": bool}


def hosts(parts: SplitResult) -> list[tuple[str, int | None]]:
    """Host and port of the server, or of each Sentinel; "" and None for what the URL leaves out.

    Raises:
        ValueError: a port is no port.
    """
    if parts.scheme not in GUIDED_SCHEMES:
        return [(unquote(parts.hostname or ""), parts.port)]
    each = [urlsplit(f"//{one}") for one in parts.netloc.rpartition("@")[2].split(",")]
    return [(unquote(one.hostname or ""), one.port) for one in each]


def place(host: str, port: int | None) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def checked(url: str) -> SplitResult:
    """The URL's parts.

    Raises:
        SettingsError: it can't be used. Its text quotes nothing of the URL that may belong to a password.
    """
    try:
        parts = urlsplit(url)
        found = hosts(parts)
        usable = url.partition("://")[0] in SCHEMES and all(port != 0 for _, port in found)
        for host, _ in found:
            host.encode("idna")  # as a look-up does, which would raise UnicodeError
    except ValueError:
        usable = False
    if url.partition("://")[0] in _SENTINEL_LIKE:
        raise SettingsError(f"the Redis URL can't be used: for Sentinel write {_SENTINEL_FORM}")
    if (
        not usable
        or parts.fragment
        or not (url + "".join(host for host, _ in found) + unquote(parts.path)).isprintable()
    ):
        raise SettingsError(
            "the Redis URL can't be used: it is redis://[user:password@]host[:port][/db], rediss://… or "
            "unix:///path; in a password, write / ? # @ : as %2F %3F %23 %40 %3A"
        )
    _check_path(parts, [host for host, _ in found])
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        _check_option(parts.scheme, name, value)
    return parts


def _check_path(parts: SplitResult, found: list[str]) -> None:
    if parts.scheme in SENTINEL_SCHEMES:
        if not all(found) or not re.fullmatch(r"/[A-Za-z0-9._-]+(/[0-9]*)?", parts.path):
            raise SettingsError(
                f"the Redis URL can't be used: Sentinels and a master's name are needed: {_SENTINEL_FORM}"
            )
        return
    if parts.scheme in CLUSTER_SCHEMES and (not all(found) or not re.fullmatch(r"/?0?", parts.path)):
        raise SettingsError(f"the Redis URL can't be used: a cluster's nodes are needed, and no db: {_CLUSTER_FORM}")
    if parts.scheme == "unix" and (len(parts.path) < 2 or found != [""]):
        raise SettingsError("the Redis URL can't be used: unix:// needs a socket's whole path: unix:///run/redis.sock")
    if parts.scheme != "unix" and not re.fullmatch(r"(/[0-9]*)?", parts.path):
        raise SettingsError("the Redis URL can't be used: the db's number follows the host, as in /0")


def _check_option(scheme: str, name: str, value: str) -> None:
    if name not in _OPTIONS:
        known = ", ".join(sorted(_OPTIONS))
        raise SettingsError(f"the Redis URL has an unknown option, or a ? in its password; options are {known}")
    if name in _SENTINEL_OPTIONS and scheme not in SENTINEL_SCHEMES:
        raise SettingsError(f"the Redis URL's option {name} is for Sentinel: {_SENTINEL_FORM}")
    if name == "shard" and scheme not in CLUSTER_SCHEMES:
        raise SettingsError(f"the Redis URL's option shard is for a cluster: {_CLUSTER_FORM}")
    if name.startswith("ssl_") and scheme not in TLS_SCHEMES:
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
    where = ",".join(place(host, port) for host, port in hosts(parts))
    shown = [(name, value) for name, value in parse_qsl(parts.query) if name in _SHOWN_OPTIONS]
    query = "?" + urlencode(shown, quote_via=quote, safe="/") if shown else ""
    text = f"{parts.scheme}://{user}{where}{parts.path}{query}"
    return "".join(character if character.isprintable() else "?" for character in text)
