"""Speaks to a real worker process as a daemon does: a job in, its end out."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import hiredis

from tests.live import put, sproc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Server

TIMEOUT_S = 30.0


class EndedError(Exception):
    """The process has ended; its exit code, negative for a signal."""


@dataclass(frozen=True, slots=True)
class Done:
    status: str
    duration_us: int
    reply: str
    error: str


class WorkerProcess:
    """One process, as runtime/workers.py starts it. `said` is its first answer."""

    def __init__(
        self, url: str, folder: Path, before: Callable[[], None] | None = None, **setup: Any
    ) -> None:  # fmt: skip
        self._reader = hiredis.Reader()
        self._jobs = 0
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", "luasprocs.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509  # the tests have no threads that matter
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(folder)},
        )  # fmt: skip
        told = {
            "url": url,
            "namespace": "",
            "db": 0,
            "daemon": "d1",
            "folder": str(folder),
            "writable": [],
            "lua_path": "",
            "allow": [],
        }
        self.send("setup", json.dumps({**told, **setup}))
        self.said = self.read()
        self.facts: dict[str, Any] = json.loads(self.said[1]) if self.said[0] == b"ready" else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, *words: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(hiredis.pack_command(words))
        self.process.stdin.flush()

    def read(self, timeout_s: float = TIMEOUT_S) -> list[bytes]:
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while (message := self._reader.gets()) is False:
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            data = os.read(fd, 1 << 16)
            if not data:
                raise EndedError(self.process.wait(60), self.stderr())
            self._reader.feed(data)
        assert isinstance(message, list)
        return message

    def send_job(
        self, name: str, keys: tuple[str | bytes, ...] = (), args: tuple[str | bytes, ...] = (), *, trigger: str = "enqueue",
        memory_bytes: int = 64 << 20, generation: str = "1", attempt: int = 1, depth: int = 1, origin: str = "tests",
    ) -> str:  # fmt: skip
        self._jobs += 1
        job_id = f"job-{self._jobs}"
        self.send(
            *(
                "job",
                job_id,
                name,
                trigger,
                depth,
                1,
                origin,
                attempt,
                generation,
                30000,
                memory_bytes,
                len(keys),
                *keys,
                *args,
            )
        )
        return job_id

    def run(self, name: str, *args: Any, timeout_s: float = TIMEOUT_S, **options: Any) -> Done:
        job_id = self.send_job(name, *args, **options)
        what, done_id, *rest = self.read(timeout_s)
        if what == b"unbegun":
            return Done("unbegun", 0, "", rest[0].decode("utf-8", "replace"))
        status, duration_us, reply, error = rest
        assert (what, done_id) == (b"done", job_id.encode())
        return Done(
            status.decode(), int(duration_us), reply.decode("utf-8", "replace"), error.decode("utf-8", "replace")
        )

    def stderr(self) -> str:
        """What a process that has ended left for the daemon's log."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode("utf-8", "replace")

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class Bench:
    """A server with sprocs on it, and a worker that runs them."""

    def __init__(self, server: Server, start: Callable[..., WorkerProcess]) -> None:
        self.server = server
        self.client = server.client()
        self._start = start
        self._worker: WorkerProcess | None = None
        self._generation = 0

    @property
    def worker(self) -> WorkerProcess:
        if self._worker is None:
            self._worker = self._start()
        return self._worker

    def start(self, **setup: Any) -> WorkerProcess:
        """Another worker takes the place of the one that is there."""
        self._worker = self._start(**setup)
        return self._worker

    def live(self, **sources: str | bytes) -> str:
        """Makes these sprocs live, `a__b` as `a/b.lua`. Returns the generation."""
        names = {f"{name.replace('__', '/')}.lua": source for name, source in sources.items()}
        self._generation += 1
        put(self.client, *(sproc(name, source) for name, source in names.items()))
        return str(self._generation)

    def run(self, source: str | bytes, *args: Any, header: str = "", **options: Any) -> Done:
        """A source as the async sproc `s.lua`, whose first line of code is line 2."""
        text = source if isinstance(source, bytes) else source.encode()
        generation = self.live(s=b"-- runasync=yes" + header.encode() + b"\n" + text)
        return self.worker.run("s.lua", *args, generation=generation, **options)
