"""Least-privilege ACL rules: what each role needs on a server, and no more.

Redis checks every command that a function runs against the rights of the user who called it. So a rule has
parts (selectors, in parentheses): the application's commands reach its keys only, the engine's the registry.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from enum import Enum
from typing import TYPE_CHECKING

from luasprocs.errors import SettingsError
from luasprocs.server.slots import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.contract.keys import Keys

ROLES = ("daemon", "deployer", "caller", "viewer")
OWN_KEYS = {"caller": ("app:*",), "daemon": ("*",)}
"""Globs of what sprocs may touch, where nothing else is asked for."""
OWN_COMMANDS = ("@read", "@write")
"""What they may do there."""

_WORD = re.compile(r"[^\s()]+")

# Categories hold more than they seem to: @write has FLUSHALL, which asks for no key, and FUNCTION FLUSH and
# FUNCTION LOAD; @connection has CLIENT KILL.
_NEVER_BY_CATEGORY = ("-@dangerous", "-@admin", "-@scripting")

_READS = "type hget hmget hgetall llen lrange smembers sismember xlen xrange xrevrange xpending zcard zrange info time fcall_ro"
_LOOKING = "hkeys xread xinfo|stream"
"""At jobs, at executions as they come, and how many there were."""
_WATCHING = "ttl subscribe unsubscribe"
_WRITES = (
    "multi exec watch fcall function|load function|list publish exists zrangebyscore del hset hdel hincrby rpush lpop "
    "sadd xadd xdel zadd zrem script|load script|exists"
)
_OPERATING = "lrem srem"
"""Dropping jobs, resuming sprocs."""
_RUNTIME = (
    "subscribe psubscribe unsubscribe punsubscribe function|kill function|stats scan get set xtrim "
    "xgroup xreadgroup xack xclaim xautoclaim zscore smismember incrby pexpire pexpiretime "
    "getrange strlen hlen hscan scard sscan object|encoding"
)
_CLUSTER = "cluster|slots cluster|info cluster|shards cluster|nodes cluster|myid spublish ssubscribe sunsubscribe"
_MIGRATIONS = "cluster|getslotmigrations"
"""Which Redis and older Valkeys refuse to hear of in a rule."""
_CARRYING_OVER = "get set scan unlink"
"""Marks of schedules, and what a registry left whose slot has moved."""
_CONFIG = "config|get config|set"
"""No rule can say which settings: whoever has CONFIG SET may change `requirepass`, too."""


class ClusterKind(Enum):
    """Whether a rule is for the nodes of a cluster, and of which; of another one they would refuse the rule."""

    NONE = 0
    ANY = 1
    VALKEY_9 = 2
    """Or later: a daemon asks them which slots migrate."""


def rule(
    role: str,
    keys: Keys,
    *,
    own_keys: Iterable[str] | None = None,
    own_commands: Iterable[str] = OWN_COMMANDS,
    config: bool = True,
    nodes: ClusterKind = ClusterKind.NONE,
) -> tuple[str, ...]:
    """The words of ACL SETUSER behind the user's name, without a password.

    `own_keys` (globs) and `own_commands` (names, `@categories`, or `&globs` of channels to publish to) are what sprocs
    use: those that a caller calls or a daemon runs; what the engine itself does there, to read the values of events, is
    added. The other roles run none. A caller whose `own_keys` cover the registry may change sprocs. `config` False: a
    daemon gets no CONFIG. `nodes`: of a cluster, where keys have a shard's tag; each node needs the rule.

    Raises:
        SettingsError: there is no such role, or a key or command can't stand in a rule.
    """
    cluster = nodes is not ClusterKind.NONE
    globs = tuple(OWN_KEYS.get(role, ()) if own_keys is None else own_keys)
    called = tuple(own_commands)
    _check((*globs, *called))
    heard = [word for word in called if word.startswith("&")]
    own = _by_category("@connection", *(word for word in called if word not in heard))
    own_globs = ("~*",) if "*" in globs else tuple(f"~{glob}" for glob in globs)  # nothing may stand behind `~*`
    patterns = _patterns(keys, cluster=cluster)
    reached = tuple(f"~{pattern}" for pattern in patterns)
    channels = tuple(f"&{pattern}" for pattern in (*patterns, *_markers(keys, cluster=cluster)))
    asking, marks, carried = map(_plus, (_CLUSTER, "get exists", _CARRYING_OVER) if cluster else ("", "", ""))
    match role:
        case "daemon":
            runtime = f"{_READS} {_WRITES} {_RUNTIME} {_CONFIG if config else ''}"
            # A PSUBSCRIBE pattern must stand in the rule letter by letter: only `&*` allows what triggers need.
            migrating = _plus(f"blpop {_MIGRATIONS if nodes is ClusterKind.VALKEY_9 else ''}") if cluster else ()
            words = (*own, *_plus(runtime), *asking, *migrating, *reached, "resetchannels", "&*", *own_globs)
        case "deployer":
            commands = _plus(f"{_READS} {_LOOKING} {_WRITES} {_OPERATING}")
            words = (*_by_category("@connection"), *commands, *asking, *carried, *reached, "resetchannels", *channels)
        case "caller":
            words = (*own, *asking, *own_globs, *_caller(keys, heard, cluster=cluster))
        case "viewer":
            reading = _plus(f"{_READS} {_LOOKING} {_WATCHING}")
            looked_at = (f"%R{glob}" for glob in reached)
            words = (*_by_category("@connection"), *reading, *asking, *marks, *looked_at, "resetchannels", *channels)
        case _:
            raise SettingsError(f"there is no role {role!r}: take one of {', '.join(ROLES)}")
    return ("reset", "on", *words)


def _check(words: Iterable[str]) -> None:
    for word in words:
        if not _WORD.fullmatch(word) or not word.isprintable():
            raise SettingsError(
                f"{word!r} can't stand in an ACL rule: take no blanks, parentheses or control characters"
            )


def setuser(user: str, words: Iterable[str], password: str = "") -> str:
    """The whole command, for redis-cli's own prompt or behind it in a shell. `words`: of `rule`.

    The password stands there as its hash. Without one nobody can log in until the user is given one.

    Raises:
        SettingsError: the user's name can't stand there.
    """
    if not _WORD.fullmatch(user) or not user.isprintable():
        raise SettingsError(f"{user!r} can't be an ACL user's name: take no blanks, parentheses or control characters")
    reset, on, *rest = words
    secret = [f"#{hashlib.sha256(password.encode()).hexdigest()}"] if password else []
    return shlex.join(["ACL", "SETUSER", user, reset, on, *secret, *rest])


def escaped(name: str) -> str:
    r"""A literal name as a glob: `__*_Sproc_List_*__` gives `__\*_Sproc_List_\*__`."""
    return re.sub(r"[*?\[\]\\]", r"\\\g<0>", name)


def registry_pattern(keys: Keys) -> str:
    """The glob of every key and channel of one registry."""
    return escaped(f"{keys.prefix}__*_Sproc_") + "*"


def _patterns(keys: Keys, *, cluster: bool) -> tuple[str, ...]:
    """The same on each node of a cluster: the keys of all shards, and the marks of schedules, which are where `at` is."""
    if not cluster:
        return (registry_pattern(keys),)
    return _on_shards(registry_pattern(keys)), "{*}:" + escaped(keys.mark_prefix) + "*"


def _markers(keys: Keys, *, cluster: bool) -> tuple[str, ...]:
    """The channel that a namespace doesn't stand before."""
    if not keys.namespace:
        return ()
    name = escaped(keys.markers)
    return (_on_shards(name) if cluster else name,)


def _on_shards(pattern: str) -> str:
    return f"{{{SHARED}*}}:{pattern}"


def _plus(commands: str) -> tuple[str, ...]:
    return tuple(f"+{command}" for command in commands.split())


def _by_category(*commands: str) -> tuple[str, ...]:
    """Categories, less what none of them may bring along, then single commands, which may be anything."""
    categories = (f"+{command}" for command in commands if command.startswith("@"))
    return (
        *categories,
        *_NEVER_BY_CATEGORY,
        *(f"+{command}" for command in commands if not command.startswith("@")),
    )


def _caller(keys: Keys, own_channels: list[str], *, cluster: bool) -> tuple[str, ...]:
    """What the engine does in a caller's name: calls and enqueues. Without HINCRBY on the stats, calls would go uncounted."""
    placed = _on_shards if cluster else str
    heard = [f"&{placed(escaped(channel))}" for channel in (keys.markers, keys.wakes)]
    read = (f"{escaped(keys.name_prefix)}*", *map(escaped, (keys.revision, keys.triggers, keys.paused)))
    directory = (_selector("hkeys", f"%R~{_on_shards(escaped(keys.shards))}"),) if cluster else ()
    return (
        # Calls in a transaction, as clients' pipelines are; TIME, which is in no category, and rate limits ask for it.
        *_plus("fcall fcall_ro time multi exec discard watch unwatch"),
        "resetchannels",
        _selector("exists hget hmget smembers sismember", *(f"%R~{placed(pattern)}" for pattern in read)),
        *directory,
        _selector("hincrby", f"~{placed(escaped(keys.stats_prefix))}*"),
        _selector("publish spublish" if cluster or own_channels else "publish", "resetchannels", *heard, *own_channels),
        _selector("type rpush", f"~{placed(escaped(keys.enqueued))}"),  # which adds, and can neither read nor take away
        _selector("info"),  # whether there is room, for sprocs without oom=allow beside one that has it
    )


def _selector(commands: str, *rest: str) -> str:
    return f"({' '.join((*_plus(commands), *rest))})"
