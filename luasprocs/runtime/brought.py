"""Which events a migration of slots has brought, as its source published them, too. Pure.

What clients write at the source after the snapshot's fork is applied at the target in the same order, under the same name, before
a client can write there. So the source's events since then are found among the target's, in order. Where the last of them is
found at the earliest, it was there or later in truth: all up to there was brought. That holds for any part of them, so nothing
depends on hearing all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.server.slots import SlotRange, marked, slot_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from luasprocs.runtime.source import Published
    from luasprocs.server.served_slots import ServedSlots

CARRIED = frozenset(
    b"set setrange append incrby hset hdel hincrby lpush rpush lpop rpop lset linsert lrem "
    b"sadd srem zadd zincr zrem xadd".split()
)
"""Events whose commands are replicated, under the same name, whenever they are published.

Not `del`, as a node may publish it of keys that it drops; `ltrim`, which may have trimmed nothing; `expired`, `spop` and floats'
INCRBY, which are replicated as something else.
"""


class Migration(NamedTuple):
    """One as a node tells it. `comes`: whether to this node; `slots`: 1 for each that it moves; `origin`: where these were."""

    name: bytes
    comes: bool
    origin: str
    slots: bytes
    state: bytes

    @property
    def succeeded(self) -> bool:
        return self.state == b"success"

    @property
    def goes_on(self) -> bool:
        return self.state not in {b"success", b"failed", b"cancelled"}

    @classmethod
    def parse(cls, reply: Any) -> list[Migration]:
        """From CLUSTER GETSLOTMIGRATIONS, the last one first.

        Source: https://valkey.io/commands/cluster-getslotmigrations/
        """
        jobs = (job if isinstance(job, dict) else dict(zip(job[::2], job[1::2], strict=True)) for job in reply)
        return [
            cls(
                job[b"name"],
                job[b"operation"] == b"IMPORT",
                job[b"source_node"].decode(),
                marked(map(SlotRange.parse, job[b"slot_ranges"].decode().split())),
                job[b"state"],
            )
            for job in jobs
        ]

    @classmethod
    def of(cls, slot: int, known: Iterable[Migration]) -> Migration | None:
        """That by which a slot comes; None after one that has failed: what is heard may be of that one."""
        found = [one for one in known if one.slots[slot]]
        failed = any(not one.succeeded for one in found[1:2])
        return found[0] if found and found[0].comes and not failed else None


class Brought(NamedTuple):
    """What is known of a migration when its slots have come. `before`: what came up to then; `published`: by its source."""

    slots: bytes
    before: Collection[Published]
    published: Collection[Published]

    def among(self, held: Iterable[Published]) -> int:
        """How many of these, which came when the slots did, were surely brought: so many of the first ones of its slots."""
        came = [one for one in self.before if self.slots[slot_of(one.key)]]
        asked = [one for one in self.published if self.slots[slot_of(one.key)]]
        return max(0, last_found(asked, [*came, *held]) - len(came))


def last_found(wanted: Iterable[Published], stream: list[Published]) -> int:
    """Up to where all that is wanted is found in a stream in this order, at the earliest; 0 if it isn't."""
    position = 0
    for one in wanted:
        try:
            position = stream.index(one, position) + 1
        except ValueError:
            return 0
    return position


def only_this(before: ServedSlots, after: ServedSlots) -> bool:
    """Whether no other node has claimed a slot in between: what came can't have gone and come back."""
    return {owner.id for owner in after.owners - before.owners} <= {after.own.id}
