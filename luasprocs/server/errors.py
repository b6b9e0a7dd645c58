"""What a server's errors mean: redis-py's as this package's, saying what to do. No function here shows a password."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.errors import (
    ServerAuthenticationError,
    ServerError,
    ServerMemoryError,
    ServerMovedError,
    ServerReadOnlyError,
    ServerRightsError,
    ServerUnreachableError,
)
from luasprocs.server.guide_errors import GuideError
from luasprocs.server.reasons import reason
from luasprocs.server.states import CLUSTER_DOWN, ELSEWHERE, MISSING_FUNCTION, NO_WRITES
from luasprocs.server.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_CODE: dict[str, tuple[type[ServerError], str]] = {
    "NOAUTH": (ServerAuthenticationError, "asks for a password: put it into the URL, as in redis://user:password@host"),
    "WRONGPASS": (ServerAuthenticationError, "refuses the user or the password"),
    "NOPERM": (ServerRightsError, "refuses it to this user: {said}; `luasprocs acl` prints what each role needs"),
    "READONLY": (ServerReadOnlyError, "is a replica that takes no writes: use its master's URL"),
    "OOM": (ServerMemoryError, "is out of memory and refuses writes: raise its maxmemory or free some"),
    "LOADING": (ServerError, "is loading its data: try again when it is done"),
    "BUSY": (ServerError, "is busy with a script: FUNCTION KILL or SCRIPT KILL ends it if it hasn't written"),
    "MASTERDOWN": (ServerError, "is a replica that has lost its master, and serves no old data"),
    "MISCONF": (ServerError, "can't save its data and refuses writes: {said}"),
    "NOREPLICAS": (ServerError, "lacks the replicas that its min-replicas-to-write asks for, and refuses writes"),
    "MOVED": (ServerMovedError, "is one node of a cluster, and what was asked for is on another one: try again"),
    "TRYAGAIN": (ServerMovedError, "is a cluster's node, and the keys' slot is on its way to another: try again"),
    "CLUSTERDOWN": (ServerError, "is in a cluster that is down: `redis-cli --cluster check` tells why"),
    "CROSSSLOT": (ServerError, "is a cluster's node, and one call has keys of several slots: give them one hash tag"),
}
_CODE = re.compile(r"\b(" + "|".join(_BY_CODE) + r")\b")
# NOPERM for a command inside a function, as Redis 7.0 puts it, and as later ones and Valkey do.
_IN_SCRIPT = ("The user executing the script can't", "ACL failure in script")


def _code(error: exceptions.RedisError) -> str:
    """The error's code: redis-py cuts it off for some classes, and a pipeline puts words before it."""
    text = str(error)
    code: str = getattr(error, "status_code", None) or ""
    if code in _BY_CODE:
        return code
    if any(words in text for words in _IN_SCRIPT):
        return "NOPERM"
    if isinstance(error, exceptions.AskError):  # MovedError is one
        return "MOVED"
    own = re.sub(r"^Command # \d+ .* of pipeline caused error: ", "", text, flags=re.DOTALL)
    found = _CODE.match(own) or (_CODE.search(own) if isinstance(error, exceptions.ExecAbortError) else None)
    return found[1] if found else ""


# As hiredis says it, and as redis-py does.
_TOO_DEEP = "nesting depth"
_CONNECT_TIMEOUT, _CLOSED = "Timeout connecting", "closed by server"
# What has no code, by the URL's scheme and what it says; then by redis-py's class.
_BY_TEXT: tuple[tuple[str, str, type[ServerError], str], ...] = (
    ("", _TOO_DEEP, ServerError, "a reply of {place} is nested too deep to be read"),
    ("", "DB index is out of range", ServerError, "the server at {place} has no db of that number: see its databases"),
    ("", "SELECT is not allowed in cluster", ServerError, "{place} is a cluster's node: it has no db but 0"),
    ("", "max number of clients reached", ServerError, "the server at {place} takes no more connections (maxclients)"),
    (
        "rediss:",
        "certificate verify failed",
        ServerUnreachableError,
        "the certificate of {place} is not trusted: ?ssl_ca_certs=FILE in the URL names its CA ({said})",
    ),
    (
        "rediss:",
        "[SSL: ",
        ServerUnreachableError,
        "what answers at {place} speaks no TLS that serves: if it has none, write redis:// ({said})",
    ),
    (
        "rediss:",
        _CONNECT_TIMEOUT,
        ServerUnreachableError,
        "no connection in time to {place}: is it up, and does it speak TLS? If not, write redis://",
    ),
    # A server that expects TLS sends an alert, which starts with 0x15, and closes; often only the end arrives.
    ("redis:", r'got "\x15"', ServerUnreachableError, "what answers at {place} speaks TLS: write rediss://"),
    *(
        (
            "redis:",
            words,
            ServerUnreachableError,
            "the connection to {place} broke: is the server up? If it wants TLS, write rediss:// ({said})",
        )
        for words in ("reset by peer", _CLOSED)
    ),
)
_BY_CLASS: tuple[tuple[type[exceptions.RedisError], type[ServerError], str], ...] = (
    (
        exceptions.AuthenticationError,
        ServerAuthenticationError,
        "the server at {place} refuses the user or the password: {said}",
    ),
    (
        exceptions.TimeoutError,
        ServerUnreachableError,
        "no answer in time from {place}: is it a Redis server, and is it busy?",
    ),
    (
        exceptions.ConnectionError,
        ServerUnreachableError,
        "nothing answers at {place}: is it running? --redis or LUASPROCS_REDIS says where ({said})",
    ),
    (
        exceptions.InvalidResponse,
        ServerUnreachableError,
        "the server at {place} is not Redis: check --redis or LUASPROCS_REDIS",
    ),
)


def named(error: exceptions.RedisError, url: str) -> ServerError | None:
    """This package's error for one of redis-py's; None for what is about a single command, like WRONGTYPE."""
    if isinstance(error, GuideError):
        return error.named()
    place, said, why = redacted(url), str(error), reason(error)
    code = _code(error)
    if code:
        kind, message = _BY_CODE[code]
        return kind(f"the server at {place} {message.format(said=said)}")
    one_server = url.replace("+sentinel:", ":", 1)
    for scheme, words, kind, message in _BY_TEXT:
        if one_server.startswith(scheme) and words in said:
            return kind(message.format(place=place, said=why))
    for their_kind, kind, message in _BY_CLASS:
        if isinstance(error, their_kind):
            return kind(message.format(place=place, said=why))
    return None


@contextlib.contextmanager
def errors_named(url: str) -> Iterator[None]:
    """Inside, redis-py's errors about the server become this package's; serves `await` as well.

    Raises:
        ServerError: one of its kinds, saying what to do. What is about a single command (WRONGTYPE, a
            script's error) stays redis-py's.
    """
    try:
        yield
    except exceptions.RedisError as error:
        ours = named(error, url)
        if ours is None:
            raise
        raise ours from error


# What a single refusal is about, by the server's own words: no other module looks at them.

_KILLED = ("killed by user", "Script killed")
_EVENT_CLASSES = re.compile(r"Invalid event class character\. Use '([^']+)'")
_STATES = (
    *("OOM", "BUSY", "LOADING", "READONLY", "MISCONF", "MASTERDOWN", "NOPERM", "CLUSTERDOWN", "NOREPLICAS", "NOAUTH"),
    *(MISSING_FUNCTION, *_IN_SCRIPT),
    *("TRYAGAIN", CLUSTER_DOWN, *(words.decode() for words in ELSEWHERE)),
)


def is_missing_function(error: object) -> bool:
    """Whether the engine is not loaded: nothing was synced here, or somebody flushed functions."""
    return MISSING_FUNCTION in str(error)


def is_too_deep(error: object) -> bool:
    """Whether a reply is nested too deep to be read."""
    return _TOO_DEEP in str(error)


def connect_timeout() -> exceptions.TimeoutError:
    """That no connection came about in time, as redis-py says it."""
    return exceptions.TimeoutError(f"{_CONNECT_TIMEOUT} to server")


def reply_timeout() -> exceptions.TimeoutError:
    """That no reply came in time, as redis-py says it."""
    return exceptions.TimeoutError("Timeout reading from socket")


def connection_closed() -> exceptions.ConnectionError:
    """That the server closed the connection, as redis-py says it."""
    return exceptions.ConnectionError(f"Connection {_CLOSED}.")


def is_wrong_type(error: object) -> bool:
    """Whether a key has another type than its command wants: somebody wrote over it."""
    return isinstance(error, exceptions.ResponseError) and "WRONGTYPE" in str(error)


def is_missing_key(error: object) -> bool:
    """Whether XINFO found no key."""
    return isinstance(error, exceptions.ResponseError) and "no such key" in str(error)


def is_no_group(error: object) -> bool:
    """Whether a stream, or its consumer group, does not exist."""
    return isinstance(error, exceptions.ResponseError) and str(error).startswith("NOGROUP")


def is_name_taken(error: object) -> bool:
    """Whether another library has a function's name."""
    return "already exists" in str(error)


def is_forbidden(error: object) -> bool:
    """Whether the user's ACL refuses it."""
    return "NOPERM" in str(error) or isinstance(error, exceptions.NoPermissionError)


def is_busy(error: object) -> bool:
    """Whether the server runs a script or function, and answers nothing else meanwhile."""
    return str(error).startswith("BUSY ")


def is_unknown_master(error: object) -> bool:
    """Whether a Sentinel watches no master of that name."""
    return isinstance(error, exceptions.ResponseError) and "No such master" in str(error)


def is_no_quorum(error: object) -> bool:
    """Whether too few Sentinels see each other to fail over."""
    return isinstance(error, exceptions.ResponseError) and "NOQUORUM" in str(error)


def is_no_sentinel(error: object) -> bool:
    """Whether a server without SENTINEL answered: an ordinary one."""
    return isinstance(error, exceptions.ResponseError) and "unknown command" in str(error)


def is_no_cluster(error: object) -> bool:
    """Whether a server is no node of a cluster."""
    return isinstance(error, exceptions.ResponseError) and "cluster support disabled" in str(error)


def nothing_answers(error: exceptions.RedisError) -> bool:
    """Whether no connection came about: refused, no route, nothing in time; not one that the server refused or TLS spoilt."""
    return type(error) in {exceptions.ConnectionError, exceptions.TimeoutError} and not any(
        words in str(error) for words in ("certificate", "[SSL", _CLOSED)
    )


def is_read_only(error: object) -> bool:
    """Whether the server is a replica that takes no writes."""
    return str(error).startswith("READONLY")


def is_full(error: object) -> bool:
    """Whether the server is out of memory, or an engine says so in its place."""
    return str(error).startswith("OOM ")


def is_no_writes(error: exceptions.RedisError) -> bool:
    """Whether the server takes no writes now: it is full, a replica, without its replicas, or can't write its file."""
    return _code(error) in NO_WRITES


def is_killed(error: object) -> bool:
    """Whether FUNCTION KILL or SCRIPT KILL ended the call: it had written nothing."""
    return any(words in str(error) for words in _KILLED)


def is_server_state(error: object) -> bool:
    """Whether a refusal is about the server's state or the user's rights, and not about what was sent."""
    return any(words in str(error) for words in _STATES)


def event_classes(error: object) -> str:
    """The letters of notify-keyspace-events that a refused CONFIG SET lists as possible; "" for any other error."""
    found = _EVENT_CLASSES.search(str(error))
    return found[1] if found else ""


def is_lasting(error: object) -> bool:
    """Whether a command is refused for good (no right, no such command), unlike by a server that is busy or loading."""
    return str(error).startswith(("NOPERM", "ERR"))
