"""Numbers that Python and the engine must agree on, or that documentation names. The engine reads each as `K.NAME`."""

from __future__ import annotations

TICK_MS = 250
"""Between two ticks."""
LEASE_MS = 2000
"""A daemon whose last heartbeat is so old, and `LEASE_TICKS` back, is dead."""
LEASE_TICKS = 4
"""These hold when the server's clock jumps."""
LISTENERS = 2
"""Daemons that hear the events of a shard, unless the host says otherwise."""
FORGET_MS = 600_000
"""After which a dead daemon's heartbeat is removed."""
BLIND_MS = 20
"""Less than this left of a gap that another daemon has just recorded is no gap."""
BLIND_AGAIN_MS = 10_000
"""A source whose notification flags are missing again so soon is in the same gap, which grows."""

DEPTH_LIMIT = 8
"""Where a chain of causes ends."""
RUNS_BUDGET = 1000
"""Runs below one original event, on average of those that ran together."""
ORIGIN_TTL_MS = 60_000
"""For how long a chain's budget is counted."""

TEXT_LIMIT_BYTES = 1024
"""Of a reply or an error in a record."""
PART_LIMIT_BYTES = 256
"""Of a string inside a reply."""
PARTS_LIMIT = 50
"""Elements of one table in a reply."""
LEVELS_LIMIT = 4
"""Tables within tables in a reply."""
VALUE_LIMIT_BYTES = 512 * 1024
"""Of the value that an event sproc gets."""
ELEMENTS_LIMIT = 10_000
"""Of a hash, list, set, sorted set or stream that an event sproc gets."""
BATCH_BYTES = 2 * 1024 * 1024
"""Of values in one dispatch; the rest is left to the next one."""

EXECUTIONS_LIMIT = 10_000
"""Records that are kept, about, unless a daemon says another number."""
GENERATIONS_KEPT = 50
"""Generations that a rollback can go back, unless luasprocs.toml says another number."""
GAPS_LIMIT = 1000
DEAD_LIMIT = 10_000
FLUSH_EVERY = 1000
"""Direct calls of a sproc after which its counter is written."""
MINUTES_TTL_MS = 172_800_000
"""After which what a sproc did by the minute goes, unless it runs again."""
HOUR_LIMIT_BYTES = 4096
"""Of an hour of it: 60 minutes take less than 1,000, unless the clock goes back and forth."""

BACKOFF_CAP_MS = 300_000
DELIVERIES_LIMIT = 5
"""A job whose daemons died so often is dead, unless it has more retries."""
TAKE_LIMIT = 100
DUE_LIMIT = 100
PENDING_LIMIT = 1000
PAUSED_AGAIN_MS = 1000
"""After which a retry of a paused sproc on the server is looked at again."""

AHEAD_MS = 1000
"""A scheduled time may lie so far ahead of the server's clock: daemons measure it, and it may be set."""
CLOCK_BACK_MS = 600_000
"""A last time further ahead comes from a clock that was wrong: its schedule begins anew."""
HOLD_US = 12_000
"""After so long a call starts no more scheduled runs."""
RECORDS_PART = 50
"""Records that one call writes behind the runs of others."""

BUCKETS_US = (
    *(50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000),
    *(100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000),
)
"""Upper bounds of the histogram's buckets, in microseconds; a longer run counts in `le_inf`."""

FREE_COMMANDS = (
    *(
        "del",
        "unlink",
        "exists",
        "expire",
        "pexpire",
        "expireat",
        "pexpireat",
        "persist",
        "ttl",
        "pttl",
        "type",
        "time",
    ),
    *("get", "mget", "getrange", "strlen", "getdel", "getex", "getbit", "bitcount", "pfcount", "publish"),
    *("hget", "hmget", "hgetall", "hexists", "hlen", "hkeys", "hvals", "hstrlen", "hdel"),
    *("lrange", "llen", "lindex", "lpop", "rpop", "lrem", "ltrim"),
    *("smembers", "sismember", "smismember", "scard", "srandmember", "srem", "spop"),
    *("zrange", "zscore", "zmscore", "zcard", "zcount", "zrank", "zrem", "zrangebyscore", "zrevrange", "zrevrank"),
    *("zremrangebyscore", "zremrangebyrank", "zpopmin", "zpopmax"),
    *("xrange", "xrevrange", "xlen", "xdel", "xack", "xtrim"),
)
"""What a full server refuses to nobody: a sproc that proves to do nothing else needs no room."""

WRITE_COMMANDS = (
    *("append", "bitfield", "bitop", "blmove", "blmpop", "blpop", "brpop", "brpoplpush", "bzmpop", "bzpopmax"),
    *("bzpopmin", "copy", "decr", "decrby", "del", "delex", "delifeq", "expire", "expireat", "flushall"),
    *("flushdb", "geoadd", "georadius", "georadiusbymember", "geosearchstore", "getdel", "getex", "getset"),
    *("hdel", "hexpire", "hexpireat", "hgetdel", "hgetex", "hincrby", "hincrbyfloat", "hmset", "hpersist"),
    *("hpexpire", "hpexpireat", "hset", "hsetex", "hsetnx", "incr", "incrby", "incrbyfloat", "linsert", "lmove"),
    *("lmpop", "lpop", "lpush", "lpushx", "lrem", "lset", "ltrim", "migrate", "move", "mset", "msetex"),
    *("msetnx", "persist", "pexpire", "pexpireat", "pfadd", "pfcount", "pfdebug", "pfmerge", "psetex"),
    *("publish", "rename", "renamenx", "restore", "restore-asking", "rpop", "rpoplpush", "rpush", "rpushx"),
    *("sadd", "sdiffstore", "set", "setbit", "setex", "setnx", "setrange", "sinterstore", "smove", "sort"),
    *(
        "spop",
        "spublish",
        "srem",
        "sunionstore",
        "swapdb",
        "unlink",
        "vadd",
        "vrem",
        "vsetattr",
        "xack",
        "xackdel",
        "xadd",
        "xautoclaim",
    ),
    *("xclaim", "xdel", "xdelex", "xgroup", "xreadgroup", "xsetid", "xtrim", "zadd", "zdiffstore", "zincrby"),
    *("zinterstore", "zmpop", "zpopmax", "zpopmin", "zrangestore", "zrem", "zremrangebylex", "zremrangebyrank"),
    *("zremrangebyscore", "zunionstore"),
)
"""What the servers call a write: a sproc that is `readonly=yes` may not, as under EVAL's flag no-writes."""

WORKERS_GROUP = "workers"
"""The consumer group of jobs."""
PAUSED_TURN = "paused"
"""Who holds the turn of a paused sproc that has jobs."""
TRIGGERS_DIGEST = ""
FUNCTIONS_DIGEST = "functions"
"""Where the digests' hash keeps those of the triggers and of what sprocs need of the engine; no sproc has these names."""
