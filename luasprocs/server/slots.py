"""Hash slots of a cluster, and tags that lie in a wanted one. Pure."""

from __future__ import annotations

import binascii
import re
from itertools import count, islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOTS = 16_384
SHARED = "luasprocs"
"""The tag of what is no single shard's."""
_TOP = 16
"""Tags are taken from so many slots at the top of all that a primary serves: tools that move slots begin with the lowest."""
_TAG = re.compile(rf"{SHARED}-[0-9]+")


class SlotRange(NamedTuple):
    """Slots from `first` to `last`, both included."""

    first: int
    last: int

    def __contains__(self, slot: object) -> bool:
        return isinstance(slot, int) and self.first <= slot <= self.last

    @classmethod
    def parse(cls, word: str) -> SlotRange:
        """From `7` or `7-9`; `7-` and what is no number is 7 alone."""
        first, _, last = word.partition("-")
        return cls(int(first), int(last) if last.isdecimal() else int(first))


def marked(ranges: Iterable[SlotRange]) -> bytes:
    """For each slot 1 if it is in one of these."""
    slots = bytearray(SLOTS)
    for first, last in ranges:
        slots[first : last + 1] = b"\1" * (last - first + 1)
    return bytes(slots)


def slot_of(key: bytes) -> int:
    """The slot of a key: of what stands in its first braces, if anything does.

    Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ (CRC16 is XMODEM's).
    """
    return binascii.crc_hqx(_tag_in(key) or key if b"{" in key else key, 0) % SLOTS


def _tag_in(key: bytes) -> bytes:
    start = key.find(b"{")
    end = key.find(b"}", start + 1) if start >= 0 else -1
    return key[start + 1 : end] if end > 0 else b""


def tag_beside(key: bytes) -> bytes:
    """The tag of keys that are to be in the slot of a key: moved.lua makes the same of it."""
    tag = _tag_in(key) or key
    return tag if b"}" not in tag else _two_bytes(slot_of(key))


def _two_bytes(slot: int) -> bytes:
    """A tag of a slot, if the key itself can't be one: its CRC is taken back by 16 bits."""
    for same in range(slot, 1 << 16, SLOTS):
        crc = same
        for _ in range(16):
            crc = (crc ^ 0x11021) >> 1 if crc & 1 else crc >> 1
        if b"}" not in (found := crc.to_bytes(2)):
            return found
    raise AssertionError(slot)


def ranges_text(slots: Iterable[int]) -> str:
    """`0-99 120`."""
    found = list[list[int]]()
    for slot in sorted(slots):
        if found and slot == found[-1][1] + 1:
            found[-1][1] = slot
        else:
            found.append([slot, slot])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def is_tag(tag: str) -> bool:
    """Whether it is a shard's."""
    return bool(_TAG.fullmatch(tag))


def tag_within(ranges: Iterable[SlotRange]) -> str:
    """A tag whose slot is among the highest of these; always the same one."""
    falling = (slot for one in sorted(ranges, reverse=True) for slot in range(one.last, one.first - 1, -1))
    wanted = set(islice(falling, _TOP))
    return next(tag for number in count() if slot_of((tag := f"{SHARED}-{number}").encode()) in wanted)
