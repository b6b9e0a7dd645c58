"""What kind of server it is: what INFO says, and whether luasprocs can use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.errors import ServerReadOnlyError, ServerTooOldError

if TYPE_CHECKING:
    from collections.abc import Mapping

INFO_COMMAND = ("INFO",)
"""For a caller's pipeline: `pipe.execute_command(*INFO_COMMAND)`; its reply is for `parse_info`."""

OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
"""The first versions with functions as the engine needs them."""


class ServerInfo(NamedTuple):
    """What a server is.

    `kind`: redis or valkey; `version`: as (7, 0, 15); `role`: master or replica; `master`: its host:port; `refuses`: why it takes
    no writes, or "".
    """

    kind: str
    version: tuple[int, ...]
    run_id: str
    role: str
    maxmemory_policy: str
    maxmemory_bytes: int = 0
    master: str = ""
    db: int = 0
    host: str = ""
    refuses: str = ""

    @property
    def evicts(self) -> bool:
        """Whether it removes keys that have no TTL when memory is short (as soon as it has a limit)."""
        return self.maxmemory_policy.startswith("allkeys-")

    def __str__(self) -> str:
        """`Redis 7.0.15`."""
        return f"{self.kind.capitalize()} {'.'.join(map(str, self.version)) or 'of unknown version'}"


def parse_info(reply: Mapping[Any, Any] | bytes | str, *, db: int = 0, host: str = "") -> ServerInfo:
    """From INFO's reply, raw or as redis-py parsed it. Fields that are missing have their defaults."""
    raw = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    if isinstance(raw, str):
        raw = dict(line.split(":", 1) for line in raw.splitlines() if ":" in line)
    info = {_text(name): _text(value) for name, value in raw.items()}
    kind = "valkey" if "valkey_version" in info or info.get("server_name") == "valkey" else "redis"
    version = re.match(r"\d+(\.\d+)*", info.get(f"{kind}_version", ""))
    return ServerInfo(
        kind=kind,
        version=tuple(map(int, version[0].split("."))) if version else (),
        run_id=info.get("run_id", ""),
        role="replica" if info.get("role") == "slave" else "master",
        maxmemory_policy=info.get("maxmemory_policy", ""),
        maxmemory_bytes=_number(info, "maxmemory"),
        master=f"{info['master_host']}:{info.get('master_port', '')}" if "master_host" in info else "",
        db=db,
        host=host,
        refuses=_refuses(info),
    )


def _refuses(info: Mapping[str, str]) -> str:
    """Why the server takes no writes, as far as INFO says; only CONFIG, which may be forbidden, says all."""
    if info.get("role") == "slave" and info.get("slave_read_only") != "0":
        return "it is a replica (READONLY)"
    used, uncounted, limit = (_number(info, name) for name in ("used_memory", "mem_not_counted_for_evict", "maxmemory"))
    if limit and used - uncounted > limit and not info.get("maxmemory_policy", "").startswith("allkeys-"):
        return "used memory > maxmemory (OOM)"
    if info.get("min_slaves_good_slaves") == "0":
        return "no replica keeps up, and min-replicas-to-write is set (NOREPLICAS)"
    if info.get("aof_last_write_status") == "err":
        return "it could not write its append-only file (MISCONF)"
    if info.get("paused_actions", "none") != "none":  # Redis doesn't tell
        return "writes are paused (CLIENT PAUSE, or a failover in order)"
    return ""


def _number(info: Mapping[str, str], name: str) -> int:
    text = info.get(name, "")
    return int(text) if text.isdecimal() else 0


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def require_usable(info: ServerInfo, *, writes: bool) -> None:
    """Says no to a server that can't do what luasprocs needs.

    Raises:
        ServerTooOldError: before Redis 7.0 or Valkey 7.2: no functions, or not all that the engine uses.
        ServerReadOnlyError: a replica, and something is to be written.
    """
    if info.version < OLDEST[info.kind]:
        raise ServerTooOldError(f"the server is {info}: luasprocs needs Redis 7.0 or Valkey 7.2, or newer")
    if writes and info.role == "replica":
        raise ServerReadOnlyError(f"the server is a replica, and takes no writes: use its master {info.master}".strip())


def way_out(refuses: str) -> str:
    """What to do about a server that takes no writes. `refuses`: why it takes none."""
    return (
        "raise its maxmemory, or free some" if "OOM" in refuses else "see its log and INFO; a replica: name its master"
    )


def warnings(info: ServerInfo) -> tuple[str, ...]:
    """What is wrong with the server but doesn't keep it from being used; each says what to do."""
    if not info.evicts:
        return ()
    when = "when memory is short" if info.maxmemory_bytes else "as soon as maxmemory is set"
    remedy = "set noeviction, or a volatile-* policy, which removes only keys that have a TTL"
    return (f"maxmemory-policy {info.maxmemory_policy} removes sprocs {when}: {remedy}",)
