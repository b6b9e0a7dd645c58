"""An async sproc, in Lua in a thread of this process: run by a worker's own code, without its confinement and limits."""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any

from luasprocs.contract.keys import Keys
from luasprocs.errors import SettingsError
from luasprocs.language.compiler import LOCALS
from luasprocs.worker.connection import Connection
from luasprocs.worker.messages import Task
from luasprocs.worker.output import Output
from luasprocs.worker.routes import Routes
from luasprocs.worker.running import Runner
from luasprocs.worker.sources import Sources, SprocSource
from sync.debugger.backend.program import SprocLine
from sync.debugger.backend.session import OUTPUT_LIMIT_CHARS, Ended, EvaluationError, Frame, Stop, ended_by
from sync.debugger.backend.values import Value, parse, problem_of, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from luasprocs.worker.confinement import Rules
    from sync.debugger.backend.breakpoints import Breakpoints
    from sync.debugger.backend.program import Program
    from sync.debugger.backend.run import Run
    from sync.debugger.backend.session import Say

MEMORY_BYTES = 1 << 40
CLOSE_S = DRAIN_S = 1.0
_MARK = b"\0luasprocs\0\n"


class _NoOutput(Output):
    """In place of a worker's pipe: what is printed goes to the session's own."""

    def __init__(self) -> None:
        pass

    def taken(self) -> bytes:
        return b""


class HookSession:
    """`url`: a server that has the sprocs; `rules`: a worker's; its folder becomes the process's own. What it prints is said."""

    def __init__(self, url: str, rules: Rules, program: Program, run: Run, breakpoints: Breakpoints, say: Say) -> None:
        self._url, self._rules, self._program, self._run = url, rules, program, run
        self._breakpoints, self._say = breakpoints, say
        self._asked: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._wish = ""
        self._how = ""
        self._levels: list[int] = []
        self._revision = 0
        self._inspect: Any = None
        self._runtime: Any = None
        self._thread = threading.Thread(target=self._live, name="sproc", daemon=True)
        self._drained = threading.Event()
        self._entering = False
        self._mode = b"in"

    def start(self, *, stop_on_entry: bool) -> Stop | Ended:
        self._entering, self._mode = stop_on_entry, b"in" if stop_on_entry else b"continue"
        try:
            self._rules.folder.mkdir(parents=True, exist_ok=True)
            os.chdir(self._rules.folder)
        except OSError as error:
            raise SettingsError(f"the folder of async sprocs, {self._rules.folder}, can't be used: {error}") from error
        self._listen()
        self._thread.start()
        return self._next_stop()

    def resume(self, how: str) -> Stop | Ended:
        self._asked.put(lambda: setattr(self, "_how", how))
        return self._next_stop()

    def _next_stop(self) -> Stop | Ended:
        found: Stop | Ended = self._answers.get()
        self._drain()
        return found

    def _drain(self) -> None:
        """Waits until what was printed so far is said."""
        ctypes.CDLL(None).fflush(None)
        self._drained.clear()
        os.write(1, _MARK)
        self._drained.wait(DRAIN_S)

    def _live(self) -> None:
        """The thread that the sproc runs in."""
        try:
            connection = Connection(self._url)
            connection.open()
            keys = Keys("")
            routes, sources = Routes(self._url, connection), Sources(connection, keys)
            runner = Runner(routes, sources, keys, self._rules, _NoOutput(), 0)
            runner.prepare = self._prepare
            source = SprocSource(self._program.sprocs[self._run.name].source)
            source.plain = False  # in a Lua of its own
            ok, reply, error, denied = runner.run_in_lua(self._task(), source)
            text = (reply or b"").decode("utf-8", "surrogateescape")
            problem = "; ".join(one.decode("utf-8", "surrogateescape") for one in (error, denied) if one)
            ended = Ended(text[:OUTPUT_LIMIT_CHARS]) if ok else ended_by(problem, self._program)
        except Exception as error:  # noqa: BLE001  # whatever it is, the session ends and says why
            ended = Ended(error=str(error))
        self._answers.put(ended)

    def _task(self) -> Task:
        run = self._run
        args = run.args
        head = (b"1", run.name.encode(), run.trigger.encode(), b"1", b"1", b"-", b"1", b"")
        return Task(*head, 0, MEMORY_BYTES, run.keys, args)

    def _prepare(self, runtime: Any) -> None:
        values, code = (
            resources.files(__package__).joinpath(f"{name}.lua").read_bytes() for name in ("values", "hook")
        )
        self._runtime = runtime
        written, encode, _ = runtime.execute(values)
        self._inspect = runtime.execute(code, self._on_stop, self._on_tick, written, encode)
        self._inspect[b"go"](self._mode)
        self._arm()

    def _arm(self) -> None:
        self._revision = self._breakpoints.revision
        lines: dict[int, dict[bytes, bool]] = {}
        for place in self._breakpoints.places():
            lines.setdefault(place.line, {})[b"@" + place.name.encode()] = True
        table = self._runtime.table_from
        self._inspect[b"stop_at"](table({line: table(files) for line, files in lines.items()}))

    def _on_stop(self, reason: bytes, text: bytes) -> bytes:
        """In the sproc's thread: does what is asked, until it is to go on."""
        found = Stop(
            reason.decode(), self._program.named(problem_of("", _text(text))) if reason == b"exception" else ""
        )
        self._levels = []
        frames = self._frames()
        if found.reason == "exception" and (not frames or not self._breakpoints.on_error or self._wish == "end"):
            return b"continue"
        place = frames[0].place if found.reason != "exception" else None
        if place and place.line not in self._program.code(place.name).lines:
            return self._mode
        if self._entering:
            self._entering, found = False, Stop("entry")
        elif self._wish == "pause":
            found = Stop("pause")
        elif found.reason == "breakpoint" and place and not self._stops_here(place):
            if not text:
                return self._mode
            found = Stop("step")
        self._wish, self._how = "", ""
        self._answers.put(found)
        while not self._how:
            self._asked.get()()
        self._arm()
        self._mode = self._how.encode()
        return self._mode

    def _stops_here(self, place: SprocLine) -> bool:
        return self._breakpoints.wanted_at(
            place, lambda code: self._evaluated(code, 0), lambda said: self._say("console", said, place)
        )

    def _on_tick(self) -> bytes | None:
        if self._breakpoints.revision != self._revision:
            self._arm()
        return self._wish.encode() or None

    def _do(self, work: Callable[[], Any]) -> Any:
        """Something done in the sproc's thread, while it stands."""
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def done() -> None:
            try:
                answer.put((work(), None))
            except Exception as error:  # noqa: BLE001  # whatever it is, who asks gets an answer
                answer.put((None, error))

        self._asked.put(done)
        found, error = answer.get()
        if error:
            raise EvaluationError(str(error))
        return found

    def frames(self) -> Sequence[Frame]:
        found: Sequence[Frame] = self._do(self._frames)
        return found

    def _frames(self) -> list[Frame]:
        rows = [tuple(row.values()) for row in self._inspect[b"frames"]().values()]
        self._levels = [int(level) for *_, level in rows]
        return [
            Frame(
                (name or source).decode("utf-8", "surrogateescape"),
                SprocLine(source.decode("utf-8", "surrogateescape"), int(line)),
            )
            for name, source, line, _ in rows
        ]

    def _values(self, what: bytes, frame: int) -> dict[str, Value]:
        def read() -> dict[str, Value]:
            self._frames()
            if frame >= len(self._levels):
                return {}
            rows = (tuple(row.values()) for row in self._inspect[what](self._levels[frame]).values())
            return {name.decode("utf-8", "surrogateescape"): parse(text.decode())[0] for name, text in rows}

        found: dict[str, Value] = self._do(read)
        return found

    def variables(self, frame: int) -> Mapping[str, Value]:
        return {name: value for name, value in self._values(b"locals", frame).items() if name not in LOCALS}

    def upvalues(self, frame: int) -> Mapping[str, Value]:
        return {name: value for name, value in self._values(b"upvalues", frame).items() if name not in LOCALS}

    def arguments(self, frame: int) -> Mapping[str, Value]:
        return self._values(b"given", frame)

    def evaluate(self, expression: str, frame: int, *, sets: bool = False) -> Value:
        found: Value = self._do(lambda: self._evaluated(expression.strip(), frame, sets=sets))
        return found

    def _evaluated(self, expression: str, frame: int, *, sets: bool = False) -> Value:
        self._frames()
        if frame >= len(self._levels):
            raise EvaluationError("no function of a sproc runs here")
        code = expression.encode("utf-8", "surrogateescape")
        sound, text = self._inspect[b"evaluate"](code, self._levels[frame], sets)
        if not sound:
            raise EvaluationError(problem_of(expression, _text(text)))
        return result_of(expression, text.decode())

    def command(self, words: Sequence[str]) -> str:
        connection = Connection(self._url)
        try:
            return _text(connection.call(*words))
        finally:
            connection.close()

    def pause(self) -> None:
        self._wish = "pause"

    def close(self) -> None:
        """Lua ends at its next count of instructions; one that waits for the server or the kernel ends with the process."""
        self._wish = "end"
        if self._thread.is_alive():
            self._asked.put(lambda: setattr(self, "_how", "continue"))
            self._thread.join(CLOSE_S)

    def _listen(self) -> None:
        """Says what the sproc prints."""
        reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.close(writing)
        threading.Thread(target=self._read, args=(reading,), name="output", daemon=True).start()

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as lines:
            while line := lines.readline(OUTPUT_LIMIT_CHARS):
                text = line.removesuffix(_MARK)  # what has no line end yet stands before it
                if text:
                    self._say("stdout", text.decode("utf-8", "surrogateescape").rstrip("\n"), None)
                if text != line:
                    self._drained.set()


def _text(reply: Any) -> str:
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "surrogateescape")
    if isinstance(reply, list):
        return "[" + ", ".join(map(_text, reply)) + "]"
    return str(getattr(reply, "text", getattr(reply, "value", reply)))
