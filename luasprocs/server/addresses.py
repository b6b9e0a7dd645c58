"""Whether two URLs lead to the same server, however they name it. Asks the resolver, so it may wait."""

from __future__ import annotations

import ipaddress
import os
import socket

from luasprocs.server.endpoint import Endpoint


def same_server(url: str, other: str) -> bool:
    """Whether they have an address and a port in common.

    Raises:
        SettingsError: one of them can't be used.
    """
    return url == other or bool(_places(Endpoint.of(url)) & _places(Endpoint.of(other)))


def same_db(url: str, other: str) -> bool:
    """The same, with the same db. Raises SettingsError."""
    return Endpoint.of(url).db == Endpoint.of(other).db and same_server(url, other)


def _places(endpoint: Endpoint) -> set[tuple[str, int, str]]:
    """Where a URL leads: addresses, all of this machine's own as one, and ports; of Sentinels with the master's name."""
    if endpoint.path:
        return {(os.path.realpath(endpoint.path), 0, "")}
    found = set()
    for host, port in endpoint.guides or (endpoint.address,):
        try:
            addresses = {str(known[4][0]) for known in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except OSError:
            addresses = {host}
        found |= {(_own(address), port, endpoint.master) for address in addresses}
    return found


def _own(address: str) -> str:
    try:
        one = ipaddress.ip_address(address)
    except ValueError:  # a name that nobody knows
        return address
    one = getattr(one, "ipv4_mapped", None) or one
    return "here" if one.is_loopback or one.is_unspecified or _is_here(one) else str(one)


def _is_here(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is an address of this machine: no other one can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
