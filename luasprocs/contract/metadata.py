"""The keys of a sproc's header: what each holds, what it is without one, and for which sprocs it means something.

Python reads this table to check headers (`luasprocs.language.metadata`), the engine to run them: a default stands here alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal[
    "flag",
    "text",
    "list",
    "events",
    "keys",
    "types",
    "cron",
    "duration",
    "timezone",
    "choice",
    "size",
    "number",
    "function",
    "place",
]
Scope: TypeAlias = Literal["any", "event", "schedule", "async"]


class Default(NamedTuple):
    """What a key is where a header has none: `value`, as it would be written.

    `when`: only with a key (`cron`), or with a key of that value (`misfire=all`); "": always.
    """

    value: str
    when: str = ""

    def applies(self, values: Mapping[str, str]) -> bool:
        """Whether it is the default beside these values, as written."""
        key, _, wanted = self.when.partition("=")
        return not key or (key in values and (not wanted or values[key].strip().lower() == wanted))


class MetadataKey(NamedTuple):
    """One key. `choices`: of a `choice`; `limit`: of a `number`; `defaults`: the first that applies counts, "" without one.

    `scope`: the sprocs for which it means something. `told`: its value goes to the daemon with each job.
    """

    name: str
    kind: Kind
    scope: Scope = "any"
    choices: tuple[str, ...] = ()
    limit: int = 0
    defaults: tuple[Default, ...] = ()
    told: bool = False

    def default(self, values: Mapping[str, str]) -> str:
        """Its value where a header with these other values doesn't say it; "" for none."""
        return next((one.value for one in self.defaults if one.applies(values)), "")


def _flag(name: str, default: str, scope: Scope = "any") -> MetadataKey:
    return MetadataKey(name, "flag", scope, defaults=(Default(default),))


KEYS: Mapping[str, MetadataKey] = {
    key.name: key
    for key in (
        MetadataKey("description", "text"),
        MetadataKey("owner", "text"),
        MetadataKey("tags", "list"),
        MetadataKey("event", "events", "event"),
        MetadataKey("key", "keys", "event", defaults=(Default("*", "event"),)),
        MetadataKey("type", "types", "event"),
        _flag("value", "yes", "event"),
        MetadataKey("cron", "cron", "schedule"),
        MetadataKey("every", "duration", "schedule"),
        MetadataKey("timezone", "timezone", "schedule", defaults=(Default("UTC"),)),
        MetadataKey("misfire", "choice", "schedule", ("skip", "once", "all"), defaults=(Default("once"),)),
        MetadataKey("at", "place"),
        _flag("runasync", "no"),
        MetadataKey("timeout", "duration", defaults=(Default("30s", "runasync=yes"), Default("1s")), told=True),
        MetadataKey("memory", "size", "async", defaults=(Default("64MB"),), told=True),
        # The times that `misfire=all` makes up for come all at once.
        MetadataKey(
            "overlap",
            "choice",
            "async",
            ("skip", "queue", "allow"),
            defaults=(
                Default("queue", "misfire=all"),
                Default("skip", "cron"),
                Default("skip", "every"),
                Default("queue"),
            ),
        ),
        MetadataKey("retries", "number", limit=1000, defaults=(Default("0"),)),
        MetadataKey("backoff", "duration", defaults=(Default("1s"),)),
        MetadataKey("catchup", "choice", "event", ("no", "scan"), defaults=(Default("no"),)),
        _flag("reentrant", "no", "event"),
        _flag("readonly", "no"),
        MetadataKey("oom", "choice", choices=("deny", "allow"), defaults=(Default("deny"),)),
        MetadataKey("stale", "choice", choices=("deny", "allow"), defaults=(Default("deny"),)),
        MetadataKey("crossslot", "choice", choices=("deny", "allow"), defaults=(Default("deny"),)),
        MetadataKey("function", "function"),
        _flag("evalsha", "no"),
        MetadataKey("record", "choice", choices=("all", "errors", "none"), defaults=(Default("all"),)),
        _flag("enabled", "yes"),
        _flag("library", "no"),
    )
}
"""In the order in which forms and digests have them."""

EACH = "each"
"""The value of `at` by which a schedule runs on every shard of a cluster."""

TOLD = tuple(key.name for key in KEYS.values() if key.told)
"""What a job carries of its sproc's header, in this order."""

EXTRA_PREFIX = "x_"
"""What keys of one's own start with."""
