"""States of a server that pass, by the texts of its errors; without redis-py, which workers don't load."""

from __future__ import annotations

import re

MISSING_FUNCTION = "unction not found"
"""Redis: "Function", later "function"."""
ELSEWHERE = (b"non local key", b"do not hash to the same slot")
"""A script touched a key of another node; TRYAGAIN, or ASK, of a slot that moves."""
ELSEWHERE_TEXT = re.compile(
    r"(?:Script a|A)ttempted to access (?:a non local key in a cluster node|keys that do not hash to the same slot)"
)
CLUSTER_DOWN = "while the cluster is down"
"""What a script says that touches a key then."""
NO_WRITES = ("OOM", "READONLY", "NOREPLICAS", "MISCONF")
"""Codes of a server that takes no writes now: it is full, a replica, without its replicas, or can't write its file."""
_PASSING = (b"BUSY ", b"LOADING ", b"MASTERDOWN ")


def passes(text: bytes) -> bool:
    """Whether the command was refused by a state that passes: the engine is missing, or the server is busy or loading.

    Nothing of the command was done, so that it can be sent again.
    """
    return text.startswith(_PASSING) or (text.startswith(b"ERR ") and text.endswith(MISSING_FUNCTION.encode()))


def takes_no_writes(text: str) -> bool:
    """Whether a run was stopped by a server that takes no writes now, or by an engine that says so in its place."""
    return text.startswith(tuple(f"{code} " for code in NO_WRITES))


def is_elsewhere(text: bytes) -> bool:
    """Whether a script touched a key that this node of a cluster does not serve, or not yet, or no longer."""
    return any(words in text for words in ELSEWHERE)


def is_moving(text: bytes) -> bool:
    """Whether a cluster is being changed, so that a command may go well in a moment."""
    return text.startswith((b"TRYAGAIN", b"CLUSTERDOWN")) or CLUSTER_DOWN.encode() in text


def changing(text: bytes) -> str:
    """What happens to a cluster, or to a primary, that refuses so for a moment; "" for any other refusal."""
    if is_elsewhere(text) or redirection(text):
        return "the slot of the registry is on its way to another primary, or there by now"
    if is_read_only(text):
        return "the server is a replica by now"
    return "the cluster is down, or its slots are on their way" if is_moving(text) else ""


def is_read_only(text: bytes) -> bool:
    """Whether the server is a replica that takes no writes: another one is the primary by now."""
    return text.startswith(b"READONLY ")


def redirection(text: bytes) -> tuple[bool, tuple[str, int]] | None:
    """Where a cluster's node sends a command: whether only this once (ASK), and host and port; None if it doesn't."""
    kind, _, rest = text.partition(b" ")
    if kind not in {b"MOVED", b"ASK"}:
        return None
    host, _, port = rest.partition(b" ")[2].decode().rpartition(":")
    return kind == b"ASK", (host, int(port))
