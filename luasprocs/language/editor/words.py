"""What an editor says of the words of a sproc: the keys of its header, and what a script may use. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_DOCS: Mapping[str, str] = {
    "description": "What the sproc does, for people.",
    "owner": "Who answers for it.",
    "tags": "Words to find it by.",
    "event": "Runs it when one of these keyspace events happens to a key.",
    "key": "Which keys' events run it: globs, `user:*`.",
    "type": "Only keys of these types run it.",
    "value": "Whether it gets the key's value as ARGV[1].",
    "cron": "Runs it on a schedule: minute, hour, day, month, weekday; with six fields seconds come first.",
    "every": "Runs it again and again, counted from 1970.",
    "timezone": "The time zone of `cron`.",
    "misfire": "What happens to times that were missed: the newest runs once, all run, or none.",
    "at": "A key whose shard of a cluster serves runs without keys; `each`: a schedule runs on every shard.",
    "runasync": "Runs it in a worker process, with files and Lua libraries, instead of on the server.",
    "timeout": "How long a run may take.",
    "memory": "How much memory an async run may use.",
    "overlap": "What happens if an async run is due while one lasts: skip it, queue it, or run both.",
    "retries": "How often a failed run is tried again.",
    "backoff": "The delay before the first retry; it doubles with each.",
    "catchup": "`scan`: after a gap, keys that the sproc listens to are looked through.",
    "reentrant": "Whether what it writes may run it again.",
    "readonly": "It writes nothing, which the server enforces; it can be called by FCALL_RO.",
    "oom": "Whether it runs in a server whose memory is full.",
    "stale": "Whether its own function runs on a replica that has lost its master.",
    "crossslot": "Whether its own function may touch keys of several slots of a cluster's node.",
    "function": "The name of a Redis function of its own: `FCALL name 1 key`.",
    "evalsha": "Whether EVALSHA finds it by the SHA1 of its source, too.",
    "record": "Which of its runs are recorded.",
    "enabled": "Whether it runs at all.",
    "library": "It is no procedure: others `require` it.",
}


class Known(NamedTuple):
    """A function or a value that a script may use: its parameters (None: it is no function), and what it is."""

    parameters: tuple[str, ...] | None
    doc: str


LOCALS: Mapping[str, Known] = {
    "KEYS": Known(None, "The keys that the caller passed; of an event, the key it is about."),
    "ARGV": Known(
        None, "The arguments; of an event the key's value, the event and the type; of a schedule its time and `cron`."
    ),
    "require": Known(("name",), "What the `library=yes` sproc of that name returned. It runs once after each sync."),
}
"""What a sproc has beside the server's globals."""

MEMBERS: Mapping[str, Known] = {
    "sproc.name": Known(None, "The sproc's name."),
    "sproc.trigger": Known(None, "What runs it: `call`, `event` or `cron`."),
    "sproc.cut": Known(None, "The whole size of a value that was cut; otherwise nil."),
    "sproc.id": Known(None, "Async only: the job's id, the same in each try."),
    "sproc.attempt": Known(None, "Async only: the number of this try, from 1."),
    "sproc.shard": Known(None, "In a cluster: the hash tag of the shard's registry; otherwise nil."),
    "sproc.call": Known(
        ("name", "keys", "args"), "Runs another sproc in the same atomic step; returns its value or raises its error."
    ),
    "sproc.enqueue": Known(
        ("name", "keys", "args"),
        "Enqueues an async run in the same atomic step; returns the job's id, or nil if `overlap=skip` left it out.",
    ),
    "redis.call": Known(("command", "…"), "Runs a command; raises its error."),
    "redis.pcall": Known(("command", "…"), "Runs a command; returns its error as a table with `err`."),
    "redis.error_reply": Known(("text",), "A reply that is an error: `CODE text`."),
    "redis.status_reply": Known(("text",), "A reply that is a status, like OK."),
    "redis.sha1hex": Known(("text",), "The SHA1 of a text, in hex."),
    "redis.log": Known(("level", "text"), "Writes a line to the server's log."),
    "redis.setresp": Known(("version",), "The protocol of the replies that the script gets: 2 or 3."),
    "redis.set_repl": Known(("what",), "What of the following writes goes to replicas and AOF."),
    "redis.acl_check_cmd": Known(("command", "…"), "Whether the caller may run a command."),
    "cjson.encode": Known(("value",), "A value as JSON."),
    "cjson.decode": Known(("text",), "JSON as a value; null is `cjson.null`."),
    "cjson.null": Known(None, "What JSON's null is."),
    "cmsgpack.pack": Known(("…",), "Values as MessagePack."),
    "cmsgpack.unpack": Known(("text",), "The values of a MessagePack text."),
    "struct.pack": Known(("format", "…"), "Values as bytes."),
    "struct.unpack": Known(("format", "text"), "The values in bytes."),
    "struct.size": Known(("format",), "How many bytes a format has."),
}
"""What they are by their tables' names. `server`, Valkey's, is `redis`."""


def member(table: str, name: str) -> Known | None:
    """What a member of a table is, if that is known."""
    return MEMBERS.get(f"{'redis' if table == 'server' else table}.{name}")


def call_of(name: str, found: Known) -> str:
    """A member as it is written: `redis.log(level, text)`."""
    return name if found.parameters is None else f"{name}({', '.join(found.parameters)})"
