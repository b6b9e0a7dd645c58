"""What a daemon and its worker say to each other, in RESP arrays over the worker's stdin and stdout.

daemon -> worker   setup <json>
                   job <id> <name> <trigger> <depth> <roots> <origin> <attempt> <generation> <timeout_ms> <memory_bytes> <nkeys> key… arg…
worker -> daemon   ready <json>   or   failed <text>
                   done <id> <status> <duration_us> <reply> <error>
                   unbegun <id> <text>: the server can't give its source now
"""  # noqa: E501  # a message is a line

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

SETUP, JOB = b"setup", b"job"
READY, FAILED = b"ready", b"failed"
DONE, UNBEGUN = b"done", b"unbegun"


class Task(NamedTuple):
    """One run, as the daemon sends it."""

    id: bytes
    name: bytes
    trigger: bytes
    depth: bytes
    roots: bytes
    origin: bytes
    attempt: bytes
    generation: bytes
    timeout_ms: int
    memory_bytes: int
    keys: Sequence[bytes]
    args: Sequence[bytes]

    def words(self) -> tuple[bytes | int, ...]:
        return (JOB, *self[:-2], len(self.keys), *self.keys, *self.args)

    @classmethod
    def parse(cls, message: list[bytes]) -> Task:
        _, job, name, trigger, depth, roots, origin, attempt, generation, timeout, memory, count, *rest = message
        keys, args = rest[: int(count)], rest[int(count) :]
        head = (job, name, trigger, depth, roots, origin, attempt, generation)
        return cls(*head, int(timeout), int(memory), keys, args)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `status`: ok, error, denied or timeout; `reply`, `error`: texts for its record."""

    status: str
    duration_us: int
    reply: bytes = b""
    error: bytes = b""
