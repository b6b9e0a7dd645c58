"""What threads read and screens draw, as frozen values."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.codes import FindingCode
from luasprocs_tui.values.freshness import Freshness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.operations.findings import Finding
    from luasprocs.operations.snapshot import Missed, ShardFacts
    from luasprocs.registry.revision import Revision
    from luasprocs.state.daemons import Running
    from luasprocs.state.executions import Execution
    from luasprocs_tui.values.rows import Row

PULSES = 60
"""So many rates are kept for a line of bars."""
RECORDS_LIMIT = 5000
"""So many executions are kept in memory, and read at once."""


class Pulse(NamedTuple):
    """How all of it goes. `now_ms`: the server's clock at `at_s` of the monotonic one.

    `per_s`, `errors_per_s`: events read and runs that failed a second, the newest last; `lag`: events read and not yet run;
    `recorded`: runs since the records began, None where that can't be read.
    """

    now_ms: int
    at_s: float
    daemons: int = 0
    lag: int = 0
    recorded: int | None = None
    runs_per_s: float | None = None
    per_s: tuple[float, ...] = ()
    errors_per_s: tuple[float, ...] = ()

    def server_ms(self, now_s: float) -> float:
        """The server's clock at a monotonic time."""
        return self.now_ms + (now_s - self.at_s) * 1000


class Counts(NamedTuple):
    """How many of each there are that somebody may have to look at. `gaps`, `missed`: that nobody has acknowledged."""

    silent: int = 0
    paused: int = 0
    waiting: int = 0
    dead: int = 0
    gaps: int = 0
    missed: int = 0
    edits: int = 0


NO_COUNTS = Counts()


class Snapshot(NamedTuple):
    """The registry at one moment. `read_at_s`: of the monotonic clock; `longest`: name and trigger, what the columns must hold;
    `findings`: what is wrong, the worst first; `pulse`: None where it can't be read; `shards`: of a
    cluster; `counts`: of what may need a look; `running`: daemons and gaps; `missed`: schedules that have missed times;
    `due_ms`: when the first of the last ones was due, as far as is known;
    `seen_ms`: up to when somebody has acknowledged gaps, and missed times; `to_acknowledge`: up to when somebody who has seen
    this can; `sources`: each with the sprocs that it triggers.
    """

    revision: Revision
    rows: tuple[Row, ...]
    read_at_s: float
    longest: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    pulse: Pulse | None = None
    shards: tuple[ShardFacts, ...] = ()
    counts: Counts = NO_COUNTS
    running: Running | None = None
    missed: tuple[Missed, ...] = ()
    due_ms: Mapping[str, int] = {}
    seen_ms: tuple[int, int] = (0, 0)
    to_acknowledge: Mapping[FindingCode, int] = {}
    sources: Mapping[str, tuple[str, ...]] = {}

    @property
    def suspended(self) -> bool:
        """Whether syncs are suspended."""
        return any(one.code == FindingCode.SUSPENDED for one in self.findings)

    @property
    def empty(self) -> bool:
        """Nothing was ever applied here."""
        return not self.revision.generation and not self.rows


class Batch(NamedTuple):
    """Records that came, the newest last. `whole`: they stand for all there are, not behind those before.

    `read_at_s`: of the monotonic clock.
    """

    records: tuple[Execution, ...]
    read_at_s: float
    whole: bool = False


class State(NamedTuple):
    """What the screen shows. `server`: without its password; `error`: why the last read failed; `context`: its name, or "".

    `failed_at_s`: when the first read since the last good one failed, of the monotonic clock. `keys`: action to its key, as
    people read it.
    """

    server: str
    snapshot: Snapshot | None = None
    error: str = ""
    context: str = ""
    production: bool = False
    read_only: bool = False
    keys: Mapping[str, str] = {}
    failed_at_s: float | None = None

    def now_ms(self) -> float:
        """The server's clock, unix milliseconds; this machine's as long as nobody knows it."""
        pulse = self.snapshot.pulse if self.snapshot else None
        return pulse.server_ms(time.monotonic()) if pulse else time.time() * 1000

    def key_of(self, action: str) -> str:
        """The key of an action; "" for none."""
        return self.keys.get(action, "")

    @property
    def freshness(self) -> Freshness:
        """How old the snapshot is."""
        return Freshness(self.snapshot.read_at_s if self.snapshot else None, self.error, self.failed_at_s)

    @property
    def paused(self) -> frozenset[str]:
        """Names of what is paused, as far as is known."""
        return (
            frozenset(row.name for row in self.snapshot.rows if row.state == "paused") if self.snapshot else frozenset()
        )
