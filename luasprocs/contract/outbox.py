"""An entry of an Outbox: an event for the shard that has its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sent(NamedTuple):
    """`shard` and `id` name it everywhere, however often it is handed over; `names`: the sprocs that are to run."""

    shard: bytes
    id: bytes
    depth: bytes
    roots: bytes
    origin: bytes
    key: bytes
    event: bytes
    names: tuple[bytes, ...]

    @classmethod
    def of(cls, tag: str, entry: bytes, fields: Mapping[bytes, bytes]) -> Self | None:
        """Reads an entry of this shard's; None if the engine can't have put it there."""
        words = [fields.get(word) for word in (b"depth", b"roots", b"origin", b"key", b"event", b"names")]
        shard, name = fields.get(b"shard", tag.encode()), fields.get(b"id", entry)
        depth, roots, origin, key, event, names = words
        if depth is None or roots is None or not origin or key is None or not event or not names:
            return None
        if not (depth.isdigit() and roots.isdigit()) or len(depth + roots) > 20 or origin.split() != [origin]:
            return None
        return cls(shard, name, depth, roots, origin, key, event, tuple(names.split(b"\n")))
