"""Runs jobs: each in globals of its own, and in a Lua of its own where it could leave anything behind."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

from lupa import lua51

from luasprocs.contract.codes import Allow
from luasprocs.contract.limits import TEXT_LIMIT_BYTES
from luasprocs.language.compiler import PREFIX, ROOMY
from luasprocs.server.states import passes
from luasprocs.worker import lua
from luasprocs.worker.confinement import limit_memory, lua_paths
from luasprocs.worker.connection import LostError
from luasprocs.worker.hosting import no_attributes, quiet, seed
from luasprocs.worker.libs import installer
from luasprocs.worker.messages import Outcome, Task
from luasprocs.worker.programs import Programs, temporary_name
from luasprocs.worker.replies import ErrorReply, TooLargeError
from luasprocs.worker.server_texts import server_facts
from luasprocs.worker.sources import SprocSource
from luasprocs.worker.values import shortest, to_lua, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.contract.keys import Keys
    from luasprocs.worker.confinement import Rules
    from luasprocs.worker.output import Output
    from luasprocs.worker.routes import Routes
    from luasprocs.worker.sources import Sources


LEAST_MEMORY_BYTES = 1 << 20
"""With less, Lua may be at its end before it can say so, which ends the process."""
KEPT_BYTES = 1 << 19
"""A Lua that holds more than that is not kept for the next job."""
SHARED_MEMORY_BYTES = 8 << 20
"""A job that may have less gets a Lua of its own: the collector's pace is that of what a Lua holds."""
_NO_LIMIT_BYTES = 1 << 50
PASSES_REST_S = 0.05
NOTHING = Task(b"0", b"-", b"call", b"1", b"1", b"-", b"1", b"", 0, _NO_LIMIT_BYTES, [], [])


class UnbegunError(Exception):
    """The server can't give the source: the job is for another worker, or for later."""


class Runner:
    """What all jobs of a process share. `base_bytes`: its memory before the first; `prepare` gets each Lua that is made."""

    prepare: Callable[[Any], None] | None = None

    def __init__(
        self, routes: Routes, sources: Sources, keys: Keys, rules: Rules, output: Output, base_bytes: int
    ) -> None:  # fmt: skip
        self.connection, self.routes = routes.first, routes
        self.sources = sources
        self.functions = {name: keys.function(name).encode() for name in ("effect", "call", "enqueue")}
        self.too_large = False
        self._rules = rules
        self._output = output
        self._base_bytes = base_bytes
        self._paths = lua_paths(rules)
        self._facts = server_facts(routes.first) | ({b"shard": keys.tag.encode()} if keys.tag else {})
        self._kept: _Host | None = None
        self._warm_up()

    def _warm_up(self) -> None:
        """One job of nothing, before the confinement: what it reads from the package is out of reach later."""
        for way in (b"", b"local _ = _G "):
            source = way + b"return { cjson.encode({}), cmsgpack.pack(1), bit.tobit(1), struct.pack('b', 1) }"
            self.run_in_lua(NOTHING, SprocSource(source))

    def run(self, job: Task) -> Outcome:
        """Runs one. Whatever it does is an outcome, unless it ends the process.

        Raises:
            UnbegunError: it did not begin.
        """
        started = time.perf_counter()
        limit_memory(self._base_bytes, job.memory_bytes)
        self.connection.limit_bytes, self.connection.rested = job.memory_bytes, True
        self.too_large = False
        self.sources.serve(job.generation)
        status, reply, error = self._ended(job)
        printed = self._output.taken()
        if reply is None:
            reply = cut(printed)
        return Outcome(status, int((time.perf_counter() - started) * 1_000_000), reply, error)

    def facts(self) -> dict[bytes, Any]:
        return {
            b"PREFIX": PREFIX,
            b"ROOMY": ROOMY,
            b"lua_path": self._paths[0].encode(),
            b"c_path": self._paths[1].encode(),
            b"allow_exec": Allow.EXEC in self._rules.allow,
            b"allow_clibs": Allow.CLIBS in self._rules.allow,
            **self._facts,
        }

    def c_library(self, name: bytes) -> bytes | None:
        """The C library that a module's name stands for, where such are off."""
        below = name.decode("utf-8", "surrogateescape").replace(".", "/")
        for template in lua_paths(self._with_clibs())[1].split(";"):
            if "\0" not in below and os.path.exists(path := template.replace("?", below)):  # noqa: PTH110
                return path.encode("utf-8", "surrogateescape")
        return None

    def _with_clibs(self) -> Rules:
        rules = self._rules
        return type(rules)(rules.folder, rules.writable, rules.lua_path, rules.allow | {Allow.CLIBS})

    def _ended(self, job: Task) -> tuple[str, bytes | None, bytes]:
        """Status, reply (None where it returned nothing) and error."""
        try:
            source, refused = self.sources.sproc(job.name)
        except LostError as lost:
            raise UnbegunError(str(lost)) from lost
        if source is None:
            return "error", None, refused
        try:
            ok, reply, error, denied = self.run_in_lua(job, source)
        except (lua51.LuaError, MemoryError) as problem:
            # Only Lua itself gets here, at the end of its memory.
            return "error", None, f"ERR {type(problem).__name__}: not enough memory".encode()
        denials = [denied] if denied else []
        if self.too_large:
            denials.append(b"a file was written beyond the size that a file may have")
        if not denials:
            return ("ok" if ok else "error"), reply, error
        said = b"; ".join(denials)
        return "denied", reply, cut(error + b"; denied: " + said if error else said)

    def run_in_lua(self, job: Task, source: SprocSource) -> tuple[bool, bytes | None, bytes, bytes]:
        """Whether it went well, its reply and error as texts, and what was denied to it; without limits of the process."""
        shared, kept = source.plain and job.memory_bytes >= SHARED_MEMORY_BYTES, False
        host = (self._kept if shared else None) or _Host(self, plain=shared)
        try:
            answer = host.run(job, source.text)
            kept = shared and host.used_bytes < KEPT_BYTES
            return answer
        finally:  # before the answer: what ends here is the job's own
            host.end(closed=not kept)
            if shared:
                self._kept = host if kept else None


class _Host:
    """A Lua, and what it asks of Python. Nothing here raises into Lua: an exception would be an object in its hands.

    `plain`: of jobs that leave nothing behind, see lua/state.lua; else it is for one job.
    """

    def __init__(self, runner: Runner, *, plain: bool) -> None:
        self._runner = runner
        self._job = NOTHING
        self._limit_bytes = 0
        self._programs = Programs()
        self._runtime: Any = lua51.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=no_attributes,
            max_memory=_NO_LIMIT_BYTES,
        )
        if runner.prepare:
            runner.prepare(self._runtime)
        functions = (quiet(getattr(self, f"_{name}")) for name in lua.HOST_FUNCTIONS)
        facts = self._runtime.table_from(runner.facts(), recursive=True)
        self._run = self._runtime.execute(
            lua.state_code(), lua.job_code(plain=plain), installer(self._runtime), facts, plain, *functions
        )

    @property
    def used_bytes(self) -> int:
        return int(self._runtime.get_memory_used())

    def run(self, job: Task, source: bytes) -> tuple[bool, bytes | None, bytes, bytes]:
        """Whether it went well, its reply and error as texts, and what was denied to it."""
        self._lift()
        self._job, self._limit_bytes = job, self.used_bytes + job.memory_bytes
        table = self._runtime.table_from
        answer: tuple[bool, bytes | None, bytes, bytes] = self._run(
            *(source, job.memory_bytes, job.name, job.trigger, job.id, int(job.attempt), seed()),
            *(table(job.keys), table(job.args)),
        )
        return answer

    def end(self, *, closed: bool) -> None:
        """Ends what the job started. `closed`: first Lua itself, whose finalizers may do anything."""
        if closed:
            self._run = self._runtime = None
        self._programs.end()

    def _fence(self) -> None:
        self._runtime.set_max_memory(self._limit_bytes)

    def _lift(self) -> None:
        """While Python makes Lua values there is no limit: Lua would jump over Python's frames, which hangs the process."""
        self._runtime.set_max_memory(0)

    def _command(self, resp: int, *passed: Any) -> tuple[bool, Any]:
        job, words = self._job, words_of(passed)
        call = (
            b"FCALL", self._runner.functions["effect"], b"0", job.depth, job.roots, job.origin, job.name, b"pcall",
            b"%d" % resp, *words,
        )  # fmt: skip
        return self._asked(resp, call, words)

    def _procedure(self, what: bytes, name: bytes, count: int, *passed: Any) -> tuple[bool, Any]:
        job, words = self._job, words_of(passed)
        function = self._runner.functions[what.decode()]
        call = (b"FCALL", function, b"%d" % count, *words[:count], name, job.origin, job.depth, *words[count:])
        return self._asked(2, call)

    def _asked(self, resp: int, call: Sequence[bytes], command: Sequence[bytes] = ()) -> tuple[bool, Any]:
        """A call's reply for Lua, or False and the text of its error. `command`: what it runs."""
        self._lift()
        try:
            reply = self._runner.routes.call(call, command)
            while type(reply) is ErrorReply and passes(reply.text):
                time.sleep(PASSES_REST_S)
                reply = self._runner.routes.call(call, command)
            if type(reply) is ErrorReply:
                return False, reply.text
            return True, to_lua(self._runtime, reply, resp)
        except LostError as error:
            return False, str(error).encode()
        except TooLargeError:
            return False, b"ERR not enough memory: the reply is larger than memory=%d" % self._job.memory_bytes
        except MemoryError:
            return False, b"ERR not enough memory for the reply"

    def _fetch(self, name: bytes) -> tuple[bytes | None, bytes]:
        self._lift()
        try:
            return self._runner.sources.library(name)
        except (LostError, TooLargeError) as error:
            return None, str(error).encode()

    def _locate(self, path: bytes) -> bytes | None:
        """Why a path can't be opened, or None: /proc has this process's pipes, which Landlock doesn't guard."""
        self._lift()
        if b"\0" in path:
            return path[:100] + b": a path has no NUL"
        try:
            closed = os.path.realpath(path).startswith((b"/proc/", b"/sys/"))
        except OSError:  # a link of another process's in /proc
            closed = True
        return path[:200] + b": Permission denied" if closed else None

    def _temporary(self) -> bytes:
        self._lift()
        return temporary_name().encode()

    def _popen(self, command: bytes, mode: bytes) -> tuple[bytes | None, bytes]:
        self._lift()
        return self._programs.start(command, mode)

    def _c_library(self, name: bytes) -> bytes | None:
        self._lift()
        return self._runner.c_library(name)

    def _sha1hex(self, text: bytes) -> bytes:
        self._lift()
        return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()

    def _shortest(self, number: float) -> bytes:
        self._lift()
        return shortest(float(number))


def cut(text: bytes) -> bytes:
    """As long as a text of a record may be."""
    if len(text) <= TEXT_LIMIT_BYTES:
        return text
    return text[:TEXT_LIMIT_BYTES] + f"… ({len(text)} bytes)".encode()
