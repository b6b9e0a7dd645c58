"""A server of one's own with sprocs in it."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from luasprocs.client import Sprocs
from luasprocs.contract.encoding import raw, time_ms
from luasprocs.contract.keys import Keys
from luasprocs.errors import ScriptError, SettingsError, WaitError
from luasprocs.language.values import duration_ms
from luasprocs.operations.put import put
from luasprocs.operations.run import Enqueued, run
from luasprocs.operations.sandbox.schedules import run_due
from luasprocs.operations.sandbox.sources import read_sources, sources_in
from luasprocs.operations.wait import wait_for_job
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.connection import connect
from luasprocs.server.embedded import EmbeddedServer
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events
from luasprocs.state.executions import RecordFilter, newest_id, read_executions
from luasprocs.state.jobs import count_jobs
from luasprocs.state.tails import Tail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.client import Argument
    from luasprocs.language.sproc import Sproc
    from luasprocs.operations.sandbox.background import BackgroundDaemon
    from luasprocs.state.executions import Execution

START = datetime(2024, 1, 1, tzinfo=UTC)
"""Where a sandbox's clock starts: a Monday, at midnight UTC."""
POLL_S = 0.005
BARRIER_S = 0.02
BY = "sandbox"
OPTIONS = ("--notify-keyspace-events", "KEA")
"""All events are published from the start: a daemon would switch on those that it needs, and say so."""


class Sandbox:
    """An embedded server with sprocs, as a context; everything in it is gone afterwards.

        with Sandbox() as sandbox:
            sandbox.put("hello.lua", "return 'hello ' .. ARGV[1]")
            assert sandbox.call("hello.lua", args=["ann"]) == b"hello ann"

    `now`: where the clock of its schedules starts, with a time zone; `namespace`: of its registry; `timeout_s`: how long
    `fire`, `run_job`, `advance` and `settle` wait at most.

    Inside: `url` for the application under test, `client` (redis-py, replies are bytes), `sprocs` (as an application calls
    them), `registry` for `luasprocs.operations`, `files` (the folder that async sprocs work in).

    Raises:
        ServerError: no server can be started here. SettingsError: `now` or `namespace` can't be used.
    """

    def __init__(self, *, now: datetime = START, namespace: str = "", timeout_s: float = 30.0) -> None:
        if now.tzinfo is None:
            raise SettingsError("the sandbox's clock needs a time zone: datetime(2024, 1, 1, tzinfo=UTC)")
        self._now_ms = round(now.timestamp() * 1000)
        self._keys = Keys(namespace)
        self._timeout_s = timeout_s
        self._folder = tempfile.TemporaryDirectory(prefix="luasprocs-sandbox-")
        self._server = EmbeddedServer(Path(self._folder.name), persistent=False, options=OPTIONS)
        self._daemon: BackgroundDaemon | None = None

    def __enter__(self) -> Self:
        self._server.start()
        self.client = connect(self.url)
        self.registry = Registry(self.client, self._keys)
        self.sprocs = Sprocs(self.client, self._keys.namespace)
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon is not None:
            self._daemon.stop()
        self.client.close()
        self._server.stop()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """Where the server is, for redis-py, redis-cli and `luasprocs --redis`."""
        return self._server.url

    @property
    def files(self) -> Path:
        """The folder that async sprocs read and write."""
        return Path(self._folder.name) / "files"

    @property
    def now(self) -> datetime:
        """The time of the schedules' clock, in UTC; `advance` moves it, nothing else does."""
        return datetime.fromtimestamp(self._now_ms / 1000, UTC)

    def put(self, name: str, source: str | bytes) -> None:
        """Makes a sproc live, or another source of it.

        Raises:
            ProblemsError: the name, the header or the Lua is wrong, or it requires what is not there. Nothing is changed.
        """
        self.put_all({name: source})

    def put_all(self, sources: Path | Mapping[str, str | bytes]) -> None:
        """Makes several live at once: name to source, or every `.lua` file below a folder, named by its path in it.

        Raises:
            ProblemsError: all that is wrong with them. Nothing is changed.
        """
        found = sources_in(sources) if isinstance(sources, Path) else sources
        put(self.registry, read_sources(self._live(), found), delete=())

    def remove(self, *names: str) -> None:
        """Deletes sprocs; names that are not live are passed over."""
        put(self.registry, delete=names)

    def call(self, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()) -> Any:
        """Runs a sproc as an application does. Its reply, as redis-py gives it: bytes, int, list or None.

        Raises:
            NoSprocError, SprocDisabledError, ScriptError: it can't run, or raised an error.
        """
        return self.sprocs.execute(name, keys=keys, args=args)

    def fire(self, command: str, *words: Argument) -> tuple[Execution, ...]:
        """Does a write (`fire("SET", "user:1", "ann")`) and waits until all sprocs have run that it triggers, directly or not.

        `fire("expired", key)` lets a key expire. The records of what ran, in order.

        Raises:
            redis.ResponseError: the server refuses the write. WaitError: not all has run in time.
        """
        self._start_daemon()
        self.settle()
        after = newest_id(self.registry)
        if command.lower() == "expired":
            self._expire(*words)
        else:
            self.client.execute_command(command, *words)
        self.settle()
        return self._records(after)

    def publish(self, event: str, key: str | bytes) -> tuple[Execution, ...]:
        """As if the event had happened to the key, which stays as it is. The records of what its triggers ran, in order.

        Raises:
            WaitError: not all has run in time.
        """
        self._start_daemon()
        self.settle()
        after = newest_id(self.registry)
        key, word = raw(key) if isinstance(key, str) else key, raw(event)
        with self.client.pipeline() as pipe:  # a daemon hears an event as one of the two
            pipe.publish(b"__keyevent@0__:" + word, key)
            pipe.publish(b"__keyspace@0__:" + key, word)
            pipe.execute()
        self.settle()
        return self._records(after)

    def run_job(self, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()) -> Execution:
        """Runs an async sproc in a worker, with its retries. The record of its last try: `status`, `reply`, `error`.

        Raises:
            NoSprocError, SprocDisabledError, ScriptError: it can't run, or is not async. WaitError: it has not ended in time.
            JobError: another run of it has not ended, and its overlap is skip.
        """
        self._start_daemon()
        done = run(self.registry, name, keys, args, by=BY)
        if not isinstance(done, Enqueued):
            raise ScriptError(f"{name} is not runasync=yes: use call")
        record = wait_for_job(self.registry, done, self._timeout_s)
        self.settle()
        return record

    def advance(self, duration: str | timedelta) -> tuple[Execution, ...]:
        """Moves the schedules' clock on, and runs each scheduled time on the way, in order. `duration`: `90s`, `1h30m`, `7d`.

        After each time everything is waited for that it has caused. The records of what ran, in order.

        The clock is that of schedules alone: a sproc gets the scheduled time as ARGV[1], but TIME, TTLs and the delays of retries
        go by the server's clock, and no run is stopped at its timeout.

        Raises:
            SettingsError: the clock would go back, or beyond the server's. WaitError: not all has run in time.
        """
        until_ms = self._now_ms + _duration_ms(duration)
        if until_ms > time_ms(self.client.time()):
            raise SettingsError(
                "the sandbox's clock can't go beyond the server's: let it start earlier, Sandbox(now=…)"
            )
        if self.client.exists(self.registry.keys.triggers):
            self._start_daemon()  # before what it is to hear of
        self.settle()
        after = newest_id(self.registry)
        for due_ms in run_due(self.registry, self._now_ms, until_ms):
            self._now_ms = due_ms
            if self._open_jobs:
                self._start_daemon()
            self.settle()
        self._now_ms = until_ms
        return self._records(after)

    def settle(self) -> None:
        """Waits until every event has run with all that it causes, and every job that is not to be tried again later.

        Raises:
            WaitError: time is over.
        """
        daemon = self._daemon
        if daemon is None:
            return
        deadline_s, quiet = time.monotonic() + self._timeout_s, False
        while not quiet:
            self._wait_for_jobs(deadline_s)
            # What was published up to here the barrier makes it read. If it reads nothing more, nothing was under way.
            lag, read = daemon.lag, daemon.read
            self._wait_for_events(deadline_s)
            quiet = not lag and read == daemon.read and not self._open_jobs

    def logs(self, sproc: str = "", status: str = "") -> tuple[Execution, ...]:
        """The records of runs by events, schedules and jobs, the oldest first; of one sproc (or a glob), with one status."""
        wanted = RecordFilter(sprocs=(sproc,) if sproc else (), statuses=(status,) if status else ())
        return tuple(read_executions(self.registry, None, wanted=wanted))

    @property
    def _open_jobs(self) -> int:
        return count_jobs(self.registry)["open"]

    def _wait_for_jobs(self, deadline_s: float) -> None:
        while self._open_jobs:
            if time.monotonic() > deadline_s:
                raise WaitError(f"not all jobs have ended within {self._timeout_s:g} s")
            time.sleep(POLL_S)

    def _wait_for_events(self, deadline_s: float) -> None:
        """By barriers, each a new one: a daemon that is busy at one answers the next sooner than its heart beats again."""
        patience_s = BARRIER_S
        while True:
            try:
                wait_for_events(self.registry, patience_s)
            except WaitError:
                if time.monotonic() > deadline_s:
                    raise
                patience_s = min(patience_s * 2, max(BARRIER_S, deadline_s - time.monotonic()))
            else:
                return

    def _live(self) -> list[Sproc]:
        return read_sprocs(self.registry, read_live(self.registry).sprocs)

    def _records(self, after: str) -> tuple[Execution, ...]:
        tail, found = Tail(self.registry, after), list[Any]()
        while some := tail.read():
            found += some
        return tuple(found)

    def _start_daemon(self) -> None:
        if self._daemon is None:
            # The runtime takes half as long to import as all else here, and calls need none.
            from luasprocs.operations.sandbox.background import BackgroundDaemon  # noqa: PLC0415

            if not self.client.exists(self.registry.keys.revision):
                put(self.registry)  # without a registry a daemon waits for one
            self._daemon = BackgroundDaemon(self.url, self._keys, self.files)

    def _expire(self, key: Argument) -> None:
        if not self.client.pexpire(key, 1):  # type: ignore[arg-type]
            raise SettingsError(f"there is no key {key!r} that could expire")
        while self.client.exists(key):  # type: ignore[arg-type]
            time.sleep(POLL_S)


def _duration_ms(duration: str | timedelta) -> int:
    try:
        found = duration_ms(duration) if isinstance(duration, str) else round(duration / timedelta(milliseconds=1))
    except ValueError as error:
        raise SettingsError(f"{duration!r} is not a duration, like 90s or 1h30m") from error
    if found < 0:
        raise SettingsError("the sandbox's clock goes forward only")
    return found
