"""What outlives the sessions of a shard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Work
from luasprocs.contract.limits import LISTENERS
from luasprocs.runtime.log_once import LogOnce
from luasprocs.runtime.numbering import Numbering
from luasprocs.runtime.repeats import Repeats
from luasprocs.runtime.witness import Witnesses

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.workload import Workload
    from luasprocs.server.cluster import Topology

ENGINE, TICK, COVER, NOTIFICATIONS, OUTBOX = "engine", "tick", "cover", "notifications", "outbox"
"""Topics of the log."""
_WORK: dict[str, Work] = {
    **{work: work for work in Work},
    **dict.fromkeys((TICK, COVER, NOTIFICATIONS, OUTBOX), Work.EVENTS),
}
"""What can't go on here while a topic stands; the log says so once, and each heartbeat."""
TEXT_LIMIT = 300


@dataclass(slots=True)
class ShardState:
    """Events that have not run yet, jobs at hand, and counters; passed to each new session.

    `pause`: pauses a sproc on all shards; `runs`: events run; `schedule_runs`: times of schedules run; `timeouts`: consecutive
    timeouts on events by sproc.
    `server`: the address of the last one. `came_ms`: of a shard that has come while the daemon ran, up to when it wasn't there
    (unix milliseconds): what happened there since then is a gap.
    `stopping`: no new work is begun; `schedules`: whether schedules run here; `listeners`: how many daemons hear the shard.
    """

    workload: Workload
    pause: Callable[[bytes], None]
    schedules: bool = True
    listeners: int = LISTENERS
    numbering: Numbering = field(default_factory=Numbering)
    said: LogOnce = field(default_factory=LogOnce)
    repeats: Repeats = field(default_factory=Repeats)
    timeouts: dict[bytes, int] = field(default_factory=dict)
    runs: int = 0
    schedule_runs: int = 0
    came_ms: int = 0
    stopping: bool = False
    topology: Topology | None = None
    """In a cluster: where its primaries are."""
    witnesses: Witnesses = field(default_factory=Witnesses)
    server: tuple[str, int] | None = None

    def stop(self) -> None:
        self.stopping = True
        self.workload.stop()

    def waits(self) -> dict[str, str]:
        """What can't go on here, and why."""
        standing = self.said.standing(*_WORK)
        return {_WORK[topic]: why[:TEXT_LIMIT] for topic, why in standing.items()}

    def info(self) -> dict[str, int]:
        """Counters for the heartbeat and metrics."""
        return {
            "lag": self.numbering.lag,
            "read": self.numbering.events_read,
            "runs": self.runs,
            "repeated": self.repeats.count,
            "jobs": self.workload.running,
            "jobs_done": self.workload.done,
            "ticks": self.schedule_runs,
        }
