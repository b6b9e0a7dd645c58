"""Which slots clients may write to on a node, as it says itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from luasprocs.server.slots import SLOTS, SlotRange, marked


class Owner(NamedTuple):
    """Who serves a slot. `epoch`: of its claim, which rises whenever a slot changes hands."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class ServedSlots:
    """A node's own view at one moment. `here`: for each slot 1 if a client may write to it on this node."""

    here: bytes
    owners: frozenset[Owner]
    own: Owner
    _ranges: dict[Owner, list[SlotRange]] = field(repr=False)

    @classmethod
    def parse(cls, nodes: bytes) -> ServedSlots:
        """From a reply of CLUSTER NODES. A slot that is moved to this node key by key is written to here before it is its own; a
        replica has what its primary has.

        Source: https://valkey.io/commands/cluster-nodes/
        """
        written, ranges, primary = dict[str, list[SlotRange]](), dict[Owner, list[SlotRange]](), ""
        for line in nodes.decode().splitlines():
            node, _, flags, leads, _, _, epoch, _, *slots = line.split()
            if "myself" in flags:
                primary = node if leads == "-" else leads
            written[node] = [_range_of(word) for word in slots]
            ranges[Owner(node, int(epoch))] = [_range_of(word) for word in slots if word[0] != "["]
        own = next((owner for owner in ranges if owner.id == primary), Owner("", 0))
        return cls(marked(written.get(primary, ())), frozenset(ranges), own, ranges)

    def owner(self, slot: int) -> Owner | None:
        return next((owner for owner, ranges in self._ranges.items() if any(slot in one for one in ranges)), None)

    def had_between(self, slot: int, later: ServedSlots) -> bool:
        """Whether this node may have had a slot in between that it has neither now nor later.

        It can't have without a new claim to the slot, by whoever has it since.
        """
        return self.owners != later.owners and self.owner(slot) != later.owner(slot)

    def returning(self, later: ServedSlots) -> bytes:
        """For each slot 1 if this node has it now, but it may have left and been on its way back in between.

        One that it has later, too, has come back if both nodes have claimed it since; one that it hasn't may be on its way.
        """
        changed = {owner.id for owner in later.owners - self.owners}
        if self.own.id in changed and len(changed) > 1:
            return self.here
        return (int.from_bytes(self.here) & ~int.from_bytes(later.here)).to_bytes(SLOTS)


def _range_of(word: str) -> SlotRange:
    """Of `7`, `7-9`, or `[7-<-node]`, a slot that comes here; `[7->-node]`, one that goes, is one of its own."""
    return SlotRange.parse(word.strip("["))
