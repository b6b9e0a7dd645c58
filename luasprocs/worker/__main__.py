"""The process: `python -I -m luasprocs.worker`, started by a daemon; `messages` says what both say.

It ends when stdin does. The daemon kills it after a timeout; nothing here watches the clock.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hiredis

from luasprocs.contract.codes import Allow
from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.server.urls import redacted
from luasprocs.worker.confinement import ConfinementError, Rules, confine, data_bytes
from luasprocs.worker.connection import Connection, LostError, RefusedError
from luasprocs.worker.descendants import Descendants, keep
from luasprocs.worker.messages import DONE, FAILED, READY, UNBEGUN, Task
from luasprocs.worker.output import Output
from luasprocs.worker.routes import Routes
from luasprocs.worker.running import LEAST_MEMORY_BYTES, Runner, UnbegunError
from luasprocs.worker.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_BYTES = 1 << 16
EXIT_FAILED, EXIT_UNREACHABLE = 1, 3


class DaemonSide:
    """The other side. It keeps the two pipes at numbers of their own: 0 to 2 are the job's."""

    def __init__(self) -> None:
        self._in, self._out = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self._reader = hiredis.Reader()

    def messages(self) -> Iterator[list[bytes]]:
        """Each as it comes, until the daemon hangs up."""
        while data := os.read(self._in, READ_BYTES):
            self._reader.feed(data)
            while (message := self._reader.gets()) is not False:
                yield message

    @property
    def pipes(self) -> tuple[int, ...]:
        """All that lead to the daemon."""
        return self._in, self._out, 1

    def say(self, *words: Any) -> None:
        """Sends a message; one who hung up needs none."""
        data = hiredis.pack_command(words)
        while data:
            data = data[os.write(self._out, data) :]


def main() -> int:
    """Runs jobs until the daemon hangs up. Returns the exit code."""
    daemon = DaemonSide()
    messages = daemon.messages()
    first = next(messages, None)
    if first is None:
        return 0
    told = json.loads(first[1])
    # A fatal error of Python's own goes to the daemon's log, what jobs print to a pipe.
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    started: Descendants | None = None
    try:
        if {Allow.EXEC, Allow.CLIBS} & set(told.get("allow", ())):
            keep(daemon.pipes)
            started = Descendants()
        runner, facts = _set_up(told)
    except (ConfinementError, LuasprocsError, LostError, RefusedError, OSError) as error:
        daemon.say(FAILED, str(error))
        return EXIT_FAILED
    daemon.say(READY, json.dumps(facts))
    try:
        for message in messages:
            task = _task(message)
            try:
                outcome = runner.run(task)
                answer: tuple[object, ...] = (
                    DONE,
                    task.id,
                    outcome.status,
                    outcome.duration_us,
                    outcome.reply,
                    outcome.error,
                )
            except UnbegunError as error:
                answer = (UNBEGUN, task.id, str(error))
            if started:
                started.end()
            if runner.connection.unreachable and runner.connection.named:
                sys.stderr.write("worker: the server can't be reached any more; a new worker looks up its name\n")
                return EXIT_UNREACHABLE
            daemon.say(*answer)
    except BrokenPipeError:
        return 0
    return 0


def _set_up(told: dict[str, Any]) -> tuple[Runner, dict[str, Any]]:
    """Connects, then shuts the process in: what needs more rights than a job has is done before."""
    url, keys = told["url"], Keys(told["namespace"], told.get("tag", ""))
    try:
        connection = Connection(url, told.get("servers", ()))
        connection.open()
        routes = Routes(url, connection, ((host, port) for host, port in told.get("nodes", ())))
    except (OSError, EOFError, RefusedError) as error:
        raise LostError(f"can't connect to {redacted(url)}: {str(error) or 'the connection was closed'}") from error
    rules = Rules(
        folder=Path(told["folder"]),
        writable=tuple(Path(path) for path in told["writable"]),
        lua_path=told.get("lua_path", ""),
        allow=frozenset(told.get("allow", ())),
    )
    rules.folder.mkdir(parents=True, exist_ok=True)
    output = Output()
    runner = Runner(routes, Sources(connection, keys), keys, rules, output, data_bytes())

    def note_too_large(*_: object) -> None:
        runner.too_large = True

    signal.signal(signal.SIGXFSZ, note_too_large)
    abi = confine(rules, routes.ports)
    gc.freeze()  # nothing of this is garbage: a collection during a job needn't look at it
    return runner, {"confined": bool(abi), "abi": abi, "pid": os.getpid()}


def _task(message: list[bytes]) -> Task:
    task = Task.parse(message)
    return task._replace(memory_bytes=max(task.memory_bytes, LEAST_MEMORY_BYTES))


if __name__ == "__main__":
    sys.exit(main())
