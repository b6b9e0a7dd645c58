"""Worker processes: each runs one async job at a time, and can be killed without harm to others.

luasprocs/worker/ is the other side; its `messages` says what both say.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import hiredis

from luasprocs.contract.codes import Status
from luasprocs.errors import LuasprocsError
from luasprocs.runtime.log import log
from luasprocs.runtime.wire import packed
from luasprocs.worker.messages import DONE, READY, SETUP, UNBEGUN, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

START_TIMEOUT_S = 30.0
GONE_TIMEOUT_S = 2.0
READ_BYTES = 1 << 16


class WorkerError(LuasprocsError):
    """No worker can be started; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class WorkerRules:
    """How async sprocs run. `count`: processes, 0 for one per core; `folder`: their working folder.

    `writable`: more folders that they may write to; `lua_path`: more places for `require`; `allow`: `exec` for os.execute
    and io.popen, `clibs` for C libraries, `unconfined` to run on kernels that can't confine files.
    """

    count: int = 0
    folder: Path = Path(".luasprocs/files")
    writable: tuple[Path, ...] = ()
    lua_path: str = ""
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """The first message to a worker. `servers`: the primary that guides name, then those that may follow it; else none.

    `tag`: of a cluster's shard; `nodes`: all of the cluster.
    """

    url: str
    namespace: str
    db: int
    daemon: str
    rules: WorkerRules
    servers: tuple[tuple[str, int], ...] = ()
    tag: str = ""
    nodes: tuple[tuple[str, int], ...] = ()

    def as_json(self) -> str:
        rules = self.rules
        return json.dumps(
            {
                "url": self.url,
                "servers": self.servers,
                "namespace": self.namespace,
                "tag": self.tag,
                "nodes": self.nodes,
                "db": self.db,
                "daemon": self.daemon,
                "folder": str(rules.folder.absolute()),
                "writable": [str(path) for path in rules.writable],
                "lua_path": rules.lua_path,
                "allow": list(rules.allow),
            }
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One run, as the engine's `take` returns it. `entry`: its id in the stream; `keys`, `args`: KEYS and ARGV.

    `header`: what its sproc's header says, typed, for each of the contract's TOLD keys.
    """

    entry: bytes
    id: bytes
    name: bytes
    trigger: bytes
    depth: int
    origin: bytes
    attempt: int
    header: Mapping[str, Any]
    keys: tuple[bytes, ...]
    args: tuple[bytes, ...]


class NotBegunError(Exception):
    """The worker died during an earlier job, or can't read the job's source."""


Begins: TypeAlias = "Callable[[Job], asyncio.TimerHandle | None]"


class Worker:
    """One process. Concurrent jobs run one after the other, in order.

    `load`: how many jobs it has; `short`: whether all of them are expected to be short.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.load = 0
        self.short = True
        self._ended = False
        self._kept = False
        """Whether the process is a keeper above the worker, see luasprocs/worker/descendants.py."""
        self._turn = asyncio.Lock()
        self._process = process
        self._reader = hiredis.Reader()
        self._messages: deque[list[bytes]] = deque()

    @classmethod
    async def start(cls, setup: WorkerSetup) -> Worker:
        """Starts a process, and waits until it is ready for jobs.

        Raises:
            WorkerError: it can't run jobs here; the text says why.
        """
        try:
            _make(setup.rules.folder)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "luasprocs.worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(setup.rules.folder)},
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerError(f"a worker can't be started: {error}") from None
        worker = cls(process)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                worker._write(SETUP, setup.as_json())
                answer = await worker._read()
        except TimeoutError:
            await worker.end()
            raise WorkerError(f"a worker didn't start within {START_TIMEOUT_S:.0f} s") from None
        except BaseException:
            await worker.end()
            raise
        if answer is None or answer[0] != READY:
            await worker.end()
            said = answer[1].decode("utf-8", "replace") if answer else "it ended while it started; stderr says why"
            raise WorkerError(f"a worker can't run: {said}")
        worker._kept = json.loads(answer[1])["pid"] != process.pid
        return worker

    async def run(self, job: Job, generation: bytes, begins: Begins) -> Outcome:
        """Runs a job with a generation's sources. Timeouts and crashes are outcomes, too; the worker is not `alive` afterwards.

        `begins`: called when the run begins; the timer that it may return ends with it.

        Raises:
            NotBegunError: the worker ended before the job began.
        """
        self.load += 1
        timer, first = None, self.load == 1 and self.alive
        try:
            if first:
                timer = begins(job)
            if self.alive:
                self._write(*_task(job, generation).words())
            async with self._turn:
                if self._ended:
                    raise NotBegunError
                if not first:
                    timer = begins(job)
                return await self._answered(job)
        finally:
            if timer is not None:
                timer.cancel()
            self.load -= 1
            self.short = self.short or not self.load

    async def _answered(self, job: Job) -> Outcome:
        """Waits for the outcome of the running job."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(job.header["timeout"] / 1000):
                answer = await self._read()
        except TimeoutError:
            self.kill()
            return Outcome(Status.TIMEOUT, _since(started), error=b"it ran past its timeout and was killed")
        except BaseException:
            self.kill()
            raise
        if answer is not None and answer[:2] == [UNBEGUN, job.id]:
            log.warning("a worker could not begin a job: %s", answer[2].decode("utf-8", "replace"))
            self.kill()
            raise NotBegunError
        if answer is None or answer[:2] != [DONE, job.id]:
            self._ended = True
            code = None if answer is not None else await self._process.wait()
            self.kill()
            return Outcome(Status.ERROR, _since(started), error=_death(code))
        return Outcome(answer[2].decode(), int(answer[3]), answer[4], answer[5])

    @property
    def alive(self) -> bool:
        """Whether it can run another job."""
        return self._process.returncode is None and not self._ended

    def kill(self) -> None:
        """Kills it and all processes that it started."""
        self._ended = True
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                if self._kept:
                    self._process.terminate()
                else:
                    os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kills it, and waits for its end."""
        self.kill()
        await self.gone()

    async def gone(self) -> None:
        """Waits until a killed process has ended, for GONE_TIMEOUT_S at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_TIMEOUT_S):
                await self._process.wait()

    def _write(self, *words: Any) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(packed(*words))

    async def _read(self) -> list[bytes] | None:
        """The next message; None if the process has ended or sent an invalid one."""
        assert self._process.stdout is not None  # noqa: S101
        while True:
            try:
                message = self._reader.gets()
            except hiredis.ProtocolError:
                return None
            if isinstance(message, list) and len(message) > 1:
                return message
            if message is not False:
                return None
            data = await self._process.stdout.read(READ_BYTES)
            if not data:
                return None
            self._reader.feed(data)


def _task(job: Job, generation: bytes) -> Task:
    depth, attempt = b"%d" % job.depth, b"%d" % job.attempt
    timeout_ms, memory_bytes = job.header["timeout"], job.header["memory"]
    head = (job.id, job.name, job.trigger, depth, b"1", job.origin, attempt, generation)
    return Task(*head, timeout_ms, memory_bytes, job.keys, job.args)


def _make(folder: Path) -> None:
    """Makes the working folder; git ignores it if it is the default one."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder.parent / ".gitignore"
    if folder.parent.name == ".luasprocs" and not ignore.exists():
        with contextlib.suppress(OSError):  # perhaps only the folder itself is writable
            ignore.write_text("*\n", encoding="ascii")


def _since(started: float) -> int:
    return int((time.perf_counter() - started) * 1_000_000)


def _death(code: int | None) -> bytes:
    if code is None:
        return b"its worker sent an invalid reply and was killed"
    if code < 0:
        return f"its worker was killed by {signal.Signals(-code).name}; SIGKILL may mean out of memory".encode()
    return f"its worker ended with exit code {code}".encode()
