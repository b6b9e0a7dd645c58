"""What `check` says of sprocs that are for a cluster: one run reaches the keys of one shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.encoding import raw
from luasprocs.language.analysis import analyse
from luasprocs.language.problems import problem
from luasprocs.language.references import references
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from luasprocs.errors import Problem
    from luasprocs.language.workspace import Workspace

_NO_KEY_FIRST = frozenset(
    {
        *(
            "acl",
            "bitop",
            "client",
            "cluster",
            "command",
            "config",
            "debug",
            "echo",
            "eval",
            "evalsha",
            "evalsha_ro",
            "eval_ro",
        ),
        *("fcall", "fcall_ro", "function", "info", "keys", "latency", "lolwut", "memory", "object", "ping", "publish"),
        *(
            "pubsub",
            "randomkey",
            "role",
            "scan",
            "script",
            "select",
            "slowlog",
            "spublish",
            "time",
            "wait",
            "xgroup",
            "xinfo",
        ),
        *(
            "blmpop",
            "lmpop",
            "zmpop",
            "bzmpop",
            "sintercard",
            "zdiff",
            "zinter",
            "zintercard",
            "zunion",
            "xread",
            "xreadgroup",
        ),
    }
)
"""Commands whose first argument is no key."""


def slot_problems(workspace: Workspace, names: Iterable[str]) -> Iterator[Problem]:
    """Of each sproc the first key that a command names literally and that is in another slot than the first one.

    A runasync sproc's commands are routed one by one.
    """
    for name, source in workspace.read(sorted(names)).items():
        if analyse(source, defaults=workspace.defaults).runasync:
            continue
        found = [
            one
            for one in references(source)
            if one.what == "command" and one.detail and one.name.lower() not in _NO_KEY_FIRST
        ]
        first = found[0].detail if found else ""
        for one in found:
            if slot_of(raw(one.detail)) != slot_of(raw(first)):
                what = f"{one.detail!r} and {first!r} are in two slots, maybe on two shards: give both a hash tag"
                yield problem(workspace.path(name), "cluster.two-slots", what, one.range)
                break
