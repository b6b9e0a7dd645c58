"""The registry on a real server: `luasprocs.operations`, and what `luasprocs.state` and `luasprocs.registry` read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw, text, time_ms
from luasprocs.contract.keys import Keys
from luasprocs.errors import EditConflictError, JobError, RegistryError
from luasprocs.operations import diff, edit, pause, replay, rollback
from luasprocs.operations.identity import author
from luasprocs.operations.key_count import count_keys
from luasprocs.operations.request import request
from luasprocs.operations.run import Enqueued, Ran, run
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.history import read_history
from luasprocs.registry.live import read_sprocs
from luasprocs.server.changing import changing
from luasprocs.server.connection import errors_named
from luasprocs.server.fleet import Fleet
from luasprocs.server.urls import checked, redacted
from luasprocs.state import acknowledged, jobs
from luasprocs.state.desired import read_suspended, read_sync_state, suspend, unsuspend
from luasprocs.state.minutes import read_minutes
from luasprocs.state.requests import now_and_generation
from luasprocs.state.schedules import read_schedules
from luasprocs.state.stats import Stats, stored_stats
from luasprocs_tui.backend.about_reader import AboutReader
from luasprocs_tui.backend.execution_tail import ExecutionTail
from luasprocs_tui.backend.protocol import SyncStatus
from luasprocs_tui.backend.snapshot_reader import SnapshotReader
from luasprocs_tui.values.replays import Compared
from luasprocs_tui.values.reruns import ValueNow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Literal

    from luasprocs.contract.codes import FindingCode
    from luasprocs.language.sproc import Sproc
    from luasprocs.operations.diff import Difference, GitDifference
    from luasprocs.operations.edit import LastChange
    from luasprocs.operations.pause import Paused
    from luasprocs.operations.rollback import Preview
    from luasprocs.registry.history import Generation
    from luasprocs.server.registry import Registry
    from luasprocs.state.executions import Execution
    from luasprocs.state.jobs import JobRecord
    from luasprocs.state.minutes import ByMinute
    from luasprocs.state.schedules import Schedules
    from luasprocs_tui.values.about import About
    from luasprocs_tui.values.snapshots import Snapshot

REPLY_TIMEOUT_S = 10.0
"""A server that answers nothing for so long is lost; the header says the data's age long before."""
VALUE_BYTES = 4096
"""A longer value is not typed into a line."""


class RegistryBackend:
    """A `Backend`. Nothing is sent before the first call.

    Raises:
        SettingsError: the URL or the namespace can't be used.
    """

    def __init__(self, url: str, namespace: str = "", *, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        checked(url)
        Keys(namespace)
        self._server = redacted(url)
        self._fleet = Fleet(url, namespace, lenient=True, socket_timeout=timeout_s)
        self._snapshots = SnapshotReader(self._fleet.registry)
        self._abouts = AboutReader()

    @property
    def _registry(self) -> Registry:
        return self._fleet.registry()

    @property
    def _there(self) -> Registry:
        """For what is read of all shards: without those that are away."""
        return self._snapshots.there()

    def snapshot(self, visible: Sequence[str], *, full: bool) -> Snapshot:
        with errors_named(self._server):
            return self._snapshots.read(visible, full=full)

    def tail(self, sproc: str) -> ExecutionTail:
        return ExecutionTail(self._snapshots.there, self._server, sproc)

    def sproc(self, name: str) -> Sproc | None:
        with errors_named(self._server):
            return next(iter(read_sprocs(self._there, [name])), None)

    def about(self, name: str, generation: int) -> About:
        with errors_named(self._server):
            return self._abouts.read(self._there, name, generation)

    def schedules(self) -> Schedules:
        with errors_named(self._server):
            found = read_schedules(self._there)
        if not found.now_ms:
            raise RegistryError("schedules can't be read: no engine is loaded here; luasprocs sync loads it")
        return found

    def jobs(self) -> Sequence[JobRecord]:
        with errors_named(self._server):
            return jobs.read_jobs(self._there)

    def stats(self, name: str) -> Stats:
        with errors_named(self._server):
            return Stats.parse(stored_stats(self._there, name))

    def minutes(self, names: Sequence[str]) -> Mapping[str, ByMinute]:
        with errors_named(self._server):
            return read_minutes(self._there, names)

    def history(self) -> Sequence[Generation]:
        with errors_named(self._server):
            return read_history(self._there)

    def sync_status(self) -> SyncStatus:
        with errors_named(self._server):
            _, generation = now_and_generation(self._registry)
            return SyncStatus(read_sync_state(self._registry), read_suspended(self._registry), generation)

    def git_difference(self, name: str) -> GitDifference:
        with errors_named(self._server):
            return diff.git_difference(self._registry, name)

    def generation_differences(self, generation: Generation, sproc: str) -> Sequence[Difference]:
        with errors_named(self._server):
            return diff.generation_differences(self._registry, generation, sproc)

    def rollback_preview(self, generation: int) -> Preview:
        with errors_named(self._server):
            return rollback.preview(self._registry, generation)

    def last_change(self, name: str) -> LastChange | None:
        with errors_named(self._server):
            return edit.last_change(self._registry, name)

    def now_ms(self) -> int:
        with errors_named(self._server):
            return time_ms(self._registry.client.time())

    def value_now(self, key: str) -> ValueNow:
        with errors_named(self._server):
            return _value_now(self._registry.at(raw(key)), raw(key))

    def count_keys(self, glob: str, limit: int) -> tuple[int, bool]:
        with errors_named(self._server):
            found = count_keys(self._registry, glob, limit)
        return found.found, found.whole

    def replay(self, record: Execution, draft: bytes | None = None) -> Compared:
        with errors_named(self._server):
            scene = replay.read_scene(self._registry, record)
        then, written = (None if one is None else replay.replay(scene, one) for one in (scene.then, draft))
        return Compared(replay.replay(scene), then, tuple(text(seed.key) for seed in scene.seeds), written)

    def toggle_pause(self, names: Sequence[str]) -> Paused:
        with self._changing():
            return pause.toggle_pause(self._registry, names, by=author())

    def run(self, name: str, keys: Sequence[str], args: Sequence[str]) -> Ran | Enqueued:
        with self._changing():
            return run(self._registry, name, [*map(raw, keys)], [*map(raw, args)], by=author())

    def edit_header(self, base: Sproc, changes: Mapping[str, str | None]) -> Sproc | None:
        return self._edit(
            base, lambda by: edit.edit_metadata(self._registry, base.name, changes, base=base.blob, by=by)
        )

    def edit_source(self, base: Sproc, source: bytes) -> Sproc | None:
        return self._edit(base, lambda by: edit.edit(self._registry, base.name, source, base=base.blob, by=by))

    def _edit(self, base: Sproc, change: Callable[[str], object]) -> Sproc | None:
        with self._changing():
            try:
                change(author())
            except EditConflictError:
                return live_sproc(self._registry, base.name)
        return None

    def undo(self, names: Sequence[str]) -> None:
        with self._changing():
            for name in names:
                edit.undo(self._registry, name, by=author())

    def retry(self, job_id: str) -> str:
        return self._job("retry", job_id)

    def drop(self, job_id: str) -> str:
        return self._job("drop", job_id)

    def _job(self, action: Literal["retry", "drop"], job_id: str) -> str:
        with self._changing():
            ((_, was),) = jobs.act(self._registry, action, [job_id])
            if isinstance(was, JobError):
                raise was
        return was

    def sync(self, on: int | None = None) -> str:
        with self._changing():
            return request(self._registry, "sync", by=author(), on=on).text

    def roll_back(self, generation: int, on: int) -> str:
        with self._changing():
            return request(self._registry, "rollback", by=author(), on=on, generation=str(generation)).text

    def toggle_suspend(self) -> bool:
        with self._changing():
            if read_suspended(self._registry):
                unsuspend(self._registry)
                return False
            suspend(self._registry, author())
            return True

    def acknowledge(self, until_ms: Mapping[FindingCode, int]) -> None:
        with self._changing():
            acknowledged.acknowledge(self._registry, until_ms, author())

    def close(self) -> None:
        self._fleet.cut()

    def _changing(self) -> AbstractContextManager[None]:
        return changing(self._fleet.registry, self._server)


def _value_now(shard: Registry, key: bytes) -> ValueNow:
    found: Any = shard.client.type(key)
    kind = text(found)
    if kind != "string":
        return ValueNow("" if kind == "none" else None, kind)
    value: Any = shard.client.getrange(key, 0, VALUE_BYTES)
    return ValueNow(text(value) if len(value) <= VALUE_BYTES else None, kind)
