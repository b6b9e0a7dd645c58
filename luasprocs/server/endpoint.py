"""What a Redis URL says of connecting, for those who open a socket themselves. Needs no redis-py, whose import takes longer
than all else that a worker does to start, and 12 MB.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from luasprocs.server.slots import SHARED
from luasprocs.server.urls import CLUSTER_SCHEMES, SENTINEL_SCHEMES, TLS_SCHEMES, checked, hosts, place

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT_NAME = "luasprocs"
PORT, SENTINEL_PORT = 6379, 26379
CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 30.0
"""How long a reply may take; `?socket_timeout=` or `connect(url, socket_timeout=…)` says otherwise."""


class Endpoint(NamedTuple):
    """Where a server is and how to log in.

    `path`: a Unix socket's, instead of host and port; `username`, `password`: "" for none; `options`: the URL's.
    `guides`: who is asked for `host` and `port`, `host` is "" until they were: Sentinels, of the master called `master`, or
    nodes of a cluster, of the primary that serves the slot of `tag`.
    """

    host: str = "localhost"
    port: int = PORT
    path: str = ""
    username: str = ""
    password: str = ""
    db: int = 0
    tls: bool = False
    options: Mapping[str, str] = {}
    guides: tuple[tuple[str, int], ...] = ()
    master: str = ""
    tag: str = ""

    def __repr__(self) -> str:
        """Without the password, which options may have, too."""
        return f"Endpoint({self.host or self.path!r}, {self.port}, guides={self.guides})"

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Reads a URL as redis-py's `parse_url` does.

        Raises:
            SettingsError: it can't be used.
        """
        parts = checked(url)
        options: dict[str, str] = {}
        for name, value in parse_qsl(parts.query):
            options.setdefault(name, value)  # of one that comes twice the first, as redis-py
        unix, sentinel, cluster = (parts.scheme in some for some in (("unix",), SENTINEL_SCHEMES, CLUSTER_SCHEMES))
        name, _, number = parts.path[1:].partition("/") if sentinel else ("", "", parts.path.strip("/"))
        found = hosts(parts)
        return cls(
            host="" if sentinel or cluster else found[0][0] or "localhost",
            port=PORT if sentinel else found[0][1] or PORT,
            path=unquote(parts.path) if unix else "",
            username=unquote(parts.username or "") or options.get("username", ""),
            password=unquote(parts.password or "") or options.get("password", ""),
            db=int(options.get("db") or ("" if unix else number) or 0),
            tls=parts.scheme in TLS_SCHEMES,
            options=options,
            guides=tuple((host, port or (SENTINEL_PORT if sentinel else PORT)) for host, port in found)
            if sentinel or cluster
            else (),
            master=name,
            tag=options.get("shard", SHARED) if cluster else "",
        )

    def at(self, address: tuple[str, int]) -> Endpoint:
        """The same of one server that guides name."""
        return self._replace(host=address[0], port=address[1])

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def plain_url(self) -> str:
        """The URL that redis-py takes for one server, without user, password and what is for guides alone."""
        secret = {"username", "password", "db", "sentinel_username", "sentinel_password", "shard"}
        options = urlencode({name: value for name, value in self.options.items() if name not in secret})
        return f"{'rediss' if self.tls else 'redis'}://{place(self.host or 'localhost', self.port)}/{self.db}?{options}"

    @property
    def connect_timeout_s(self) -> float:
        return float(self.options.get("socket_connect_timeout", CONNECT_TIMEOUT_S))

    @property
    def reply_timeout_s(self) -> float:
        return float(self.options.get("socket_timeout", REPLY_TIMEOUT_S))

    @property
    def login(self) -> tuple[str, ...]:
        """What stands behind AUTH, if anything: a user without a password (`nopass`), too."""
        return (self.username or "default", self.password) if self.username or self.password else ()

    def tls_context(self) -> ssl.SSLContext | None:
        """What TLS trusts and shows, its files read now; None without TLS.

        Raises:
            OSError: a file can't be read. ssl.SSLError: it holds something else.
        """
        if not self.tls:
            return None
        options = self.options
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
        wanted = options.get("ssl_cert_reqs", "required")
        checks_host = options.get("ssl_check_hostname", "true").lower() in {"1", "true", "yes"}
        context.check_hostname = wanted != "none" and checks_host
        context.verify_mode = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL}.get(wanted, ssl.CERT_REQUIRED)
        if certificate := options.get("ssl_certfile"):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"), options.get("ssl_password"))
        if ciphers := options.get("ssl_ciphers"):
            context.set_ciphers(ciphers)
        return context
