"""Every key, channel and function name that luasprocs uses in Redis.

The names are the first system's, so that `lrange __*_Sproc_List_*__ 0 5` keeps working. Beside the keys stand their types;
docs/registry.md documents each field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from luasprocs.errors import SettingsError

LIBRARY = "luasprocs"
_NAMESPACE = re.compile(r"[A-Za-z0-9_.:-]{1,64}|\{[A-Za-z0-9_.:-]{1,62}\}")


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of one registry. `namespace`: "" or letters, digits, `_.:-`, if wanted in braces (a hash tag).

    Raises:
        SettingsError: the namespace has other characters.
    """

    namespace: str = ""

    def __post_init__(self) -> None:
        if self.namespace and not _NAMESPACE.fullmatch(self.namespace):
            raise SettingsError(
                f"namespace {self.namespace!r} can't be used: take letters, digits and _.:- (at most 64), "
                "or the same in braces as a hash tag, like {shop}"
            )

    @property
    def prefix(self) -> str:
        """What stands before each key: `shop:` or nothing."""
        return f"{self.namespace}:" if self.namespace else ""

    def _whole(self, kind: str) -> str:
        return f"{self.prefix}__*_Sproc_{kind}_*__"

    def _each(self, kind: str) -> str:
        return f"{self.prefix}__*_Sproc_{kind}_"

    @property
    def list(self) -> str:
        """List: every sproc's name, sorted."""
        return self._whole("List")

    @property
    def name_prefix(self) -> str:
        """Before a sproc's name: hash of its source and metadata."""
        return self._each("Name")

    @property
    def revision(self) -> str:
        """Hash: what is applied, by whom."""
        return self._whole("Revision")

    @property
    def history(self) -> str:
        """Stream: one entry a generation."""
        return self._whole("History")

    @property
    def blobs(self) -> str:
        """Hash: sources that the last generations replaced, by blob."""
        return self._whole("Blobs")

    @property
    def replaced(self) -> str:
        """Sorted set: blob by the last generation that replaced it; says when a source in `blobs` can go."""
        return self._whole("Replaced")

    @property
    def digests(self) -> str:
        """Hash: name to the SHA1 of its hash as applied; says which sproc was edited by hand."""
        return self._whole("Digests")

    @property
    def triggers(self) -> str:
        """Hash: event source to names, one a line."""
        return self._whole("Triggers")

    @property
    def executions(self) -> str:
        """Stream: one entry a recorded run."""
        return self._whole("Executions")

    @property
    def events(self) -> str:
        """Hash: epoch, tick, and each event source's watermark."""
        return self._whole("Events")

    @property
    def daemons(self) -> str:
        """Hash: daemon to its last heartbeat."""
        return self._whole("Daemons")

    @property
    def gaps(self) -> str:
        """Stream: one entry a stretch of time whose events were not run."""
        return self._whole("Gaps")

    @property
    def catchups(self) -> str:
        """Hash: sproc to its scan after a gap, `ms cursor`: when it was last heard of, and how far it is."""
        return self._whole("Catchups")

    @property
    def origin_prefix(self) -> str:
        """Before an origin: counter with TTL, the runs that it has caused."""
        return self._each("Origin")

    def canary(self, daemon: str) -> str:
        """Of any type, there for a moment: what a daemon writes to hear whether writes are published."""
        return self._each("Canary") + daemon

    @property
    def desired(self) -> str:
        """Hash: what git wants, as the daemon that syncs sees it, and why it is not live if it isn't."""
        return self._whole("Desired")

    @property
    def suspended(self) -> str:
        """Hash, there while the sync is suspended: since when, by whom, why."""
        return self._whole("Suspended")

    @property
    def control(self) -> str:
        """Stream with the consumer group `daemons`: requests to the daemons that sync, and their answers."""
        return self._whole("Control")

    @property
    def edit_claim(self) -> str:
        """String, there for a moment: the daemon that commits live edits."""
        return self._whole("Edit_Claim")

    @property
    def paused(self) -> str:
        """Set: paused sprocs."""
        return self._whole("Paused")

    @property
    def scheduled(self) -> str:
        """Hash: sproc to the last scheduled time (unix milliseconds) that has run or was given up, and its schedule."""
        return self._whole("Scheduled")

    @property
    def unrecorded(self) -> str:
        """List, there for a moment: scheduled runs whose records are still to be written, as JSON."""
        return self._whole("Unrecorded")

    @property
    def cron_prefix(self) -> str:
        """Before a sproc's name: string with a TTL that counts down to its next tick."""
        return self._each("Cron")

    @property
    def jobs(self) -> str:
        """Stream with the consumer group `workers`: async runs to do or under way."""
        return self._whole("Jobs")

    @property
    def delayed(self) -> str:
        """Sorted set: retries by when they are due, unix milliseconds."""
        return self._whole("Delayed")

    @property
    def dead(self) -> str:
        """Stream: runs that used up their retries."""
        return self._whole("Dead")

    @property
    def running(self) -> str:
        """Hash: sproc to the job that holds its turn, where its runs must not overlap."""
        return self._whole("Running")

    @property
    def waiting_prefix(self) -> str:
        """Before a sproc's name: list of jobs that wait for its turn."""
        return self._each("Waiting")

    @property
    def stats_prefix(self) -> str:
        """Before a sproc's name: hash of its counters."""
        return self._each("Stats")

    @property
    def markers(self) -> str:
        """Channel: where a sproc's run begins and ends."""
        return self._whole("Markers")

    @property
    def ticks(self) -> str:
        """Channel: `epoch tick ms run_id forced`, which all daemons count by."""
        return self._whole("Ticks")

    @property
    def generations(self) -> str:
        """Channel: an apply publishes its generation here, inside its MULTI."""
        return self._whole("Generations")

    @property
    def wakes(self) -> str:
        """Channel: a job's id when there is one to take."""
        return self._whole("Wakes")

    def name(self, name: str) -> str:
        """Hash: one sproc's source and metadata."""
        return self.name_prefix + name

    def stats(self, name: str) -> str:
        """Hash: one sproc's counters."""
        return self.stats_prefix + name

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
