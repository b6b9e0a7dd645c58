"""Functions of the engine that only a cluster needs."""

from __future__ import annotations

from luasprocs.contract.function import Function

MOVED, ORPHAN = CLUSTER_CHUNKS = ("moved", "orphan")
"""The chunks that serve them: a single server's engine has them not."""
CLUSTER = (
    Function(
        "arrive",
        "daemons",
        MOVED,
        "runs sprocs for an event that another shard handed over, once, however often it comes",
        "`OK`, `HAD` (it had come before), `MOVED` (the key came, nothing happened to it), `ELSEWHERE` (another shard's)",
        ("shard", "id", "daemon", "depth", "roots", "origin", "key", "event"),
        ("name",),
        full=True,
    ),
    Function(
        "adopt",
        "syncs",
        ORPHAN,
        "takes a job of a registry that no shard serves any more, or a retry whose key another shard does not have, once; "
        "`kind`: `job`, `delayed` (`due`: unix milliseconds) or `dead` (`due`: its error)",
        "`OK`, `HAD` or `NONE`",
        ("shard", "kind", "due", "job"),
    ),
    Function(
        "inherit",
        "syncs",
        ORPHAN,
        "adds to its own what such a registry has kept, whose slot is on the same node, and deletes it there; `kind`: `stats` "
        "(`name`: a sproc), `executions` or `gaps`",
        "OK",
        ("shard", "kind", "name"),
    ),
    Function(
        "inherit_sent",
        "syncs",
        ORPHAN,
        "takes an entry of the Outbox of a registry that no shard serves any more, once",
        "`OK` or `HAD`",
        ("shard", "id", "depth", "roots", "origin", "key", "event"),
        ("name",),
    ),
    Function(
        "missed",
        "syncs",
        ORPHAN,
        "records what a registry that no shard serves any more had not run as a gap, if this server's events were its own, or if "
        "`forced` is 1; `ms`: up to when it had run a source",
        "1 if it does so, or did before; else 0",
        ("shard", "epoch", "forced"),
        ("source", "ms"),
    ),
    Function("shard", "syncs", ORPHAN, "names the registry that the engine serves", "its tag", reads=True),
)
