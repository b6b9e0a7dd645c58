"""Every key and channel that luasprocs uses in Redis: its name, its type, and what it holds.

The names are the first system's, so that `lrange __*_Sproc_List_*__ 0 5` keeps working.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import overload

from luasprocs.errors import SettingsError

LIBRARY = "luasprocs"
_NAMESPACE = re.compile(r"[A-Za-z0-9_.:-]{1,64}|\{[A-Za-z0-9_.:-]{1,62}\}")


@dataclass(eq=False, slots=True)
class Key:
    """A key or channel of every registry. Its name in one registry is an attribute of `Keys`: `keys.executions`.

    `stem`: what stands between the fixed parts of the name. `kind`: Redis' word for its type, or "channel". `each`: what stands
    behind the prefix of a family, as in `<name>`. `checked`: a sync looks at its type and repairs it. `healed`: what does.
    `shared`: a channel that a daemon hears in all registries of a server. Its namespace stands behind: a pattern that begins
    with `*` costs the server much at whatever anybody publishes.
    """

    stem: str
    kind: str
    holds: str
    each: str = ""
    checked: bool = False
    healed: str = "luasprocs sync repairs it"
    shared: bool = False
    attribute: str = field(default="", init=False)

    def __set_name__(self, _: type, name: str) -> None:
        self.attribute = name

    @overload
    def __get__(self, keys: None, owner: type[Keys]) -> Key: ...
    @overload
    def __get__(self, keys: Keys, owner: type[Keys]) -> str: ...
    def __get__(self, keys: Keys | None, owner: type[Keys]) -> Key | str:
        return self if keys is None else self.within(keys)

    def within(self, keys: Keys) -> str:
        """Its name in one registry; of a family the prefix."""
        name = f"__*_Sproc_{self.stem}_" + ("" if self.each else "*__")
        if self.shared and keys.namespace:
            return f"{Keys(tag=keys.tag).prefix}{name}:{keys.namespace}"
        return keys.prefix + name

    @property
    def shown(self) -> str:
        """Its name without a namespace, as documentation has it."""
        return f"__*_Sproc_{self.stem}_" + (self.each or "*__")


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of one registry. `namespace`: "" or letters, digits, `_.:-`, if wanted in braces (a hash tag).

    `tag`: the hash tag that all keys of one shard of a cluster have, "" on a single server.

    Raises:
        SettingsError: the namespace has other characters.
    """

    namespace: str = ""
    tag: str = ""

    list = Key("List", "list", "every sproc's name, sorted", checked=True)
    name_prefix = Key("Name", "hash", "one sproc: see below", "<name>")
    revision = Key("Revision", "hash", "what is applied: see below", checked=True)
    history = Key("History", "stream", "one entry per generation: see below", checked=True)
    blobs = Key("Blobs", "hash", "sources that the last generations replaced, by git blob id", checked=True)
    replaced = Key(
        "Replaced", "zset", "the ids of these blobs, by the last generation that replaced each", checked=True
    )
    digests = Key(
        "Digests",
        "hash",
        "name to the SHA1 of its hash as applied, which reveals edits by hand; the empty name has that of the triggers, "
        "`functions` that of `Functions`",
        checked=True,
    )
    triggers = Key(
        "Triggers",
        "hash",
        "event source (a channel or pattern) to sproc names, one per line; absent without triggers",
        checked=True,
    )
    functions = Key(
        "Functions",
        "hash",
        "each function of a sproc's own (`function=`) to `flags sproc`; `allow-oom` to the sprocs with `oom=allow`, and "
        "`script-load` to those with `evalsha=yes`, one per line; absent if there is none of these",
        checked=True,
    )
    events = Key("Events", "hash", "how far events have run: see below", checked=True)
    daemons = Key(
        "Daemons",
        "hash",
        "daemon to its last heartbeat: see below",
        checked=True,
        healed="the next heartbeat replaces it",
    )
    paused = Key("Paused", "set", "paused sprocs (`luasprocs pause`); survives syncs", checked=True)
    pauses = Key("Pauses", "hash", "of these, sproc to `ms by`: since when it is paused, and by whom", checked=True)
    acknowledged = Key(
        "Acknowledged",
        "hash",
        "`gap` or `missed` to `until ms by`: those up to `until` are known (`luasprocs status --acknowledge`)",
        checked=True,
    )
    catchups = Key(
        "Catchups",
        "hash",
        "sproc with `catchup=scan` to its scan after a gap, `ms cursor`: the time of its last step, and how far it is",
        checked=True,
    )
    origin_prefix = Key(
        "Origin",
        "string",
        "counter of the runs that a chain of causes has used of its budget; expires after a minute",
        "<origin>",
    )
    canary_prefix = Key(
        "Canary",
        "any",
        "short-lived: if CONFIG is refused, a daemon writes it every three seconds to learn whether writes are "
        "published",
        "<daemon>",
    )
    executions = Key(
        "Executions",
        "stream",
        "one entry per recorded run, about 10,000 kept: see below",
        checked=True,
        healed="the next record replaces it",
    )
    cron_prefix = Key(
        "Cron",
        "string with TTL",
        "the next time of a schedule (unix seconds), which its TTL counts down to; absent while the sproc is paused",
        "<name>",
    )
    scheduled = Key(
        "Scheduled",
        "hash",
        "sproc to `ms schedule`: the last time that ran or was given up, and the schedule that this belongs to",
        checked=True,
    )
    mark_prefix = Key(
        "Mark",
        "string",
        "in a cluster, instead of a field of `Scheduled`, under the tag of the schedule's `at`",
        "<name>",
    )
    unrecorded = Key(
        "Unrecorded", "list", "short-lived: scheduled runs whose records are still to be written, as JSON", checked=True
    )
    jobs = Key(
        "Jobs",
        "stream",
        "async runs that wait or run, with the consumer group `workers`: `id`, `sproc`, `job` (JSON: see below)",
        checked=True,
    )
    enqueued = Key(
        "Enqueued",
        "list",
        "jobs of callers who may not write `Jobs` (`acl caller`), as such JSON; a daemon puts them there",
        checked=True,
    )
    delayed = Key(
        "Delayed", "zset", "retries to come, as such JSON, scored by due time (unix milliseconds)", checked=True
    )
    dead = Key(
        "Dead",
        "stream",
        "jobs that used up their retries, about 10,000 kept: `id`, `sproc`, `status`, `error`, `attempts`, `job`",
        checked=True,
    )
    running = Key(
        "Running",
        "hash",
        "sproc to the job that holds its turn, if its runs must not overlap: its id, and its entry in Jobs; `paused` while "
        "jobs wait for a resume",
        checked=True,
    )
    waiting_prefix = Key("Waiting", "list", "jobs that wait for their sproc's turn, as JSON", "<name>")
    desired = Key("Desired", "hash", "what git wants, as seen by the daemon that syncs: see below")
    suspended = Key("Suspended", "hash", "present while the sync is suspended: `since` (unix seconds), `by`, `reason`")
    edit_claim = Key("Edit_Claim", "string", "short-lived: the daemon that commits live edits")
    control = Key(
        "Control",
        "stream",
        "requests to the daemons that sync, with the consumer group `daemons`, and their answers: see below",
    )
    gaps = Key(
        "Gaps", "stream", "one entry per gap: see below", checked=True, healed="the next gap's record replaces it"
    )
    outbox = Key(
        "Outbox", "stream", "in a cluster: events whose key another shard has by now; a daemon hands them over"
    )
    had_prefix = Key(
        "Had", "string", "in a cluster: an event that another shard handed over; kept for a day", "<shard>:<id>"
    )
    stats_prefix = Key("Stats", "hash", "a sproc's counters, with the empty name those of all: see below", "<name>")
    minutes_prefix = Key("Minutes", "hash", "a sproc's runs and errors of each minute, or of all: see below", "<name>")

    shards = Key(
        "Shards",
        "hash",
        "in a cluster, under the tag `luasprocs`: the tag of each primary's registry to its generation",
    )

    ticks = Key(
        "Ticks",
        "channel",
        "`secret epoch tick ms run_id forced`, four times a second and whenever a client asks (`luasprocs wait`, a "
        "daemon that joins)",
    )
    markers = Key(
        "Markers",
        "channel",
        "`secret begin depth roots origin name`, `secret end` around a run: events between them were caused by it, in each "
        "registry of the server; a namespace stands behind, `__*_Sproc_Markers_*__:shop`",
        shared=True,
    )
    generations = Key("Generations", "channel", "`secret generation`, published inside each apply's MULTI")
    wakes = Key(
        "Wakes",
        "channel",
        "the id of a job that can be taken; `delayed`: a retry is to come; `schedules`: sprocs were paused or resumed; "
        "`paused`: jobs of a paused sproc stood in front of others",
    )

    def __post_init__(self) -> None:
        if self.namespace and not _NAMESPACE.fullmatch(self.namespace):
            raise SettingsError(
                f"namespace {self.namespace!r} can't be used: take letters, digits and _.:- (at most 64), "
                "or the same in braces as a hash tag, like {shop}"
            )

    @property
    def prefix(self) -> str:
        """What stands before each key: `shop:` or nothing, in a cluster `{luasprocs-7}:shop:`."""
        return (f"{{{self.tag}}}:" if self.tag else "") + (f"{self.namespace}:" if self.namespace else "")

    def name(self, name: str) -> str:
        """The hash of one sproc."""
        return self.name_prefix + name

    def stats(self, name: str) -> str:
        """The hash of one sproc's counters."""
        return self.stats_prefix + name

    def minutes(self, name: str) -> str:
        """The hash of what one sproc did in each minute of a day."""
        return self.minutes_prefix + name

    def canary(self, daemon: str) -> str:
        """What one daemon writes to learn whether writes are published."""
        return self.canary_prefix + daemon

    @property
    def function_prefix(self) -> str:
        """What stands before each function's and the library's name: `shop_` or nothing (Redis allows only [A-Za-z0-9_])."""
        return re.sub(r"[^A-Za-z0-9]+", "_", self.namespace).strip("_") + "_" if self.namespace else ""

    @property
    def library(self) -> str:
        """The engine's name as a Redis Functions library."""
        return self.function_prefix + LIBRARY

    def function(self, name: str) -> str:
        """An engine function's name: `execute` gives `luasprocs_execute`, or `shop_luasprocs_execute`."""
        return f"{self.library}_{name}"


def everyones(channel: Key, tag: str = "") -> bytes:
    """The pattern of a shared channel in all registries of a server, in a cluster of those with the same tag."""
    return channel.within(Keys(tag=tag)).replace("*", r"\*").encode() + b"*"


def keys_of(channel: Key, name: bytes) -> Keys:
    """The registry that a shared channel's name belongs to.

    Raises:
        SettingsError: there is none that can be.
    """
    tagged, _, namespace = name.decode("utf-8", "replace").partition(channel.within(Keys()))
    return Keys(namespace.removeprefix(":"), tagged[1:-2])


KEYS: tuple[Key, ...] = tuple(one for one in vars(Keys).values() if isinstance(one, Key))
"""All keys, then all channels, as documentation lists them."""
