"""A sproc under the server's own debugger. It stops at lines and steps by lines; the rest is made of that.

Stepping over and out stops at the lines that may follow in the frame: a loop that is stepped over runs at full speed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
from typing import TYPE_CHECKING

import hiredis

from luasprocs.debugger.boot import script_of, words_of
from luasprocs.debugger.ldb import BREAKPOINTS_LIMIT, LdbError
from luasprocs.debugger.program import ERROR_LINE, Place
from luasprocs.debugger.session import OUTPUT_LIMIT_CHARS, Ended, EvaluationError, Frame, Stop
from luasprocs.debugger.values import Value, is_name, literal, names_in, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from luasprocs.debugger.breakpoints import Breakpoints
    from luasprocs.debugger.ldb import Answer, Ldb, Said
    from luasprocs.debugger.program import Program
    from luasprocs.debugger.run import Run
    from luasprocs.debugger.session import Say

_ENGINE_KEYS = "__*_Sproc_"
"""Stands in the names of a registry's keys."""
READINGS = 16
"""Of values that may be strings or numbers, tried at most."""
SAID_LIMIT = 100
"""Lines that are shown of one step."""
_GLOBALS = frozenset({"redis", "server", "cjson", "cmsgpack", "bit", "struct", "string", "table", "math", "os", "_G"})
_PID = re.compile(r"\bprocess_id:(\d+)")
_ERROR_PLACE = re.compile(r"(\S+\.lua):(\d+)")
_OWN = frozenset({"sproc", "require", "redis", "KEYS", "ARGV", "luasprocs_named", "luasprocs_problem", "n"})
"""What the engine hands over, which is shown elsewhere or says nothing; `n` only where the source has none."""


class LdbSession:
    """`say` hears commands, replies and what goes wrong; `breakpoints` may change while it runs. `own`: nobody else's server."""

    def __init__(self, ldb: Ldb, program: Program, run: Run, breakpoints: Breakpoints, say: Say, *, own: bool) -> None:
        self._ldb, self._program, self._run = ldb, program, run
        self._breakpoints, self._say, self._own = breakpoints, say, own
        self._pausing = self._warned = self._running = False
        self._pid = 0
        self._line = 0
        self._said = 0
        self._trace: list[Frame] | None = None

    def start(self, *, stop_on_entry: bool) -> Stop | Ended:
        self._ldb.begin(script_of(self._program), self._run.keys, words_of(self._program, self._run))
        info = self._ldb.command(["INFO", "server"])
        self._pid = int(found[1]) if (found := _PID.search(info)) else 0
        for words in self._run.seed:
            reply = self._ldb.command(words)
            self._say("console", f"{' '.join(words)}: {reply}"[:OUTPUT_LIMIT_CHARS], None)
        if not stop_on_entry:
            return self._go((), lambda: False)
        name = self._run.name
        entry = self._program.line(Place(name, self._program.code(name).entry))
        stop = self._go((entry,), lambda: True)
        return Stop("entry") if isinstance(stop, Stop) and stop.reason == "step" else stop

    def resume(self, how: str) -> Stop | Ended:
        if how == "in":
            return self._step_in()
        if how == "continue":
            return self._go((), lambda: False)
        frames = self.frames()
        depth = len(frames)
        if how == "out":
            return self._go(self._after(frames[1:], returned=True), lambda: len(self.frames()) < depth)
        return self._next(frames)

    def _next(self, frames: Sequence[Frame]) -> Stop | Ended:
        """One step, which shows what the line's commands answer; if it leads into a function, on to behind that."""
        after = self._after(frames)
        if not frames:
            return self._go((), lambda: False)
        stopped = self._one_step()
        if stopped is not None:
            return stopped
        now = self.frames()
        here = self._program.place(self._line)
        left = len(now) < len(frames)
        moved = here is not None and here != frames[0].place and self._same_function(now, frames)
        if here is not None and (left or moved):
            return Stop("step")
        if here is not None and self._line in self._breakpoint_lines() and self._wanted(here):
            return Stop("breakpoint")
        return self._go(after, lambda: len(self.frames()) <= len(frames))

    def _same_function(self, now: Sequence[Frame], before: Sequence[Frame]) -> bool:
        if len(now) != len(before):
            return False
        (name, line), (name_before, line_before) = now[0].place, before[0].place
        code = self._program.code(name)
        return name == name_before and bool(code.functions_at(line) & code.functions_at(line_before))

    def _function(self, place: Place) -> tuple[str, int]:
        return place.name, self._program.code(place.name).function_at(place.line)

    def _after(self, frames: Sequence[Frame], *, returned: bool = False) -> tuple[int, ...]:
        """The script's lines that may follow in these frames. `returned`: to their first a function is about to return."""
        lines: list[int] = []
        for frame in frames:
            name, line = frame.place
            following = self._program.code(name).following(line)
            places = {*following.lines, line} if returned else following.lines
            lines += (self._program.line(Place(name, one)) for one in sorted(places))
            if not following.returns:
                break
            returned = True
        return tuple(lines)

    def _step_in(self) -> Stop | Ended:
        while True:
            stopped = self._one_step()
            if stopped is not None:
                return stopped
            if place := self._program.place(self._line):
                if self._line in self._breakpoint_lines() and self._wanted(place):
                    return Stop("breakpoint")
                return Stop("step")

    def _one_step(self) -> Stop | Ended | None:
        """A step by a line; what it is if it is no usual one."""
        while True:
            answer = self._advance("step")
            if ended := self._seen(answer):
                return ended
            if self._line == ERROR_LINE and self._breakpoints.on_error:
                return Stop("exception", self._problem())
            if "timeout" in answer.reason:
                if self._pausing:
                    return self._paused()
                return None
            if self._line > ERROR_LINE:
                return None

    def _advance(self, how: str) -> Answer:
        self._running = True
        answer = self._ldb.advance(how)
        self._running = False
        return answer

    def _go(self, temporary: Sequence[int], accept: Callable[[], bool]) -> Stop | Ended:
        """On to a breakpoint, or to one of these lines where it is accepted."""
        while True:
            self._arm(temporary)
            answer = self._advance("continue")
            if ended := self._seen(answer):
                return ended
            if "timeout" in answer.reason:
                if self._pausing and self._program.place(self._line):
                    return self._paused()
                continue
            if self._line == ERROR_LINE:
                if self._breakpoints.on_error:
                    return Stop("exception", self._problem())
                continue
            place = self._program.place(self._line)
            if place is None:
                continue
            own = "breakpoint()" in answer.reason  # redis.breakpoint
            if own or (self._line in self._breakpoint_lines() and self._wanted(place)):
                return Stop("breakpoint")
            if self._line in temporary and accept():
                return Stop("step")

    def _paused(self) -> Stop:
        self._pausing = False
        return Stop("pause")

    def _breakpoint_lines(self) -> set[int]:
        places = (one for one in self._breakpoints.places() if one.name in self._program.sprocs)
        return {self._program.line(one) for one in places}

    def _arm(self, temporary: Sequence[int]) -> None:
        lines = tuple(dict.fromkeys((*temporary, *sorted(self._breakpoint_lines()))))
        if len(lines) > BREAKPOINTS_LIMIT and not self._warned:
            self._warned = True
            self._say(
                "stderr", f"the server's debugger takes {BREAKPOINTS_LIMIT} breakpoints: the others are left out", None
            )
        self._ldb.stop_at(lines)

    def _wanted(self, place: Place) -> bool:
        return self._breakpoints.wanted_at(
            place, lambda text: self.evaluate(text, 0), lambda text: self._say("console", text, place)
        )

    def _seen(self, answer: Answer) -> Ended | None:
        """Shows what an answer says. How it ended, if it did."""
        before = self._program.place(self._line) if self._line else None
        said = _own(answer)
        for one in said[:SAID_LIMIT]:
            text = one.text[:OUTPUT_LIMIT_CHARS]
            kind = "stdout" if one.kind == "debug" else "console"
            self._say(kind, f"  {text}" if one.kind == "reply" else text, before)
        if len(said) > SAID_LIMIT:
            self._say("console", f"… and {len(said) - SAID_LIMIT} lines", before)
        self._line, self._trace = answer.line, None
        if answer.line:
            return None
        if isinstance(answer.reply, hiredis.ReplyError):
            text = self._program.named(str(answer.reply))
            found = _ERROR_PLACE.search(text)
            place = Place(found[1], int(found[2])) if found and found[1] in self._program.sprocs else None
            return Ended("", text[:OUTPUT_LIMIT_CHARS], place)
        return Ended(json.dumps(answer.reply, ensure_ascii=False, default=str)[:OUTPUT_LIMIT_CHARS])

    def _problem(self) -> str:
        value = self._parse(self._ldb.value("luasprocs_problem") or "")
        text = (value.fields or {}).get('"err"', (value.fields or {}).get("err", value)).text
        return self._program.named(text.strip('"'))[:OUTPUT_LIMIT_CHARS]

    def frames(self) -> Sequence[Frame]:
        if self._trace is None:
            found = []
            for name, line in self._ldb.trace():
                if place := self._program.place(line):
                    main = self._program.code(place.name).function_at(place.line) == 0
                    found.append(Frame(place.name if main else name, place))
            self._trace = found
        return self._trace

    def variables(self, frame: int) -> Mapping[str, Value]:
        frames = self.frames()
        if frame >= len(frames):
            return {}
        place = frames[frame].place
        names = self._program.code(place.name).locals_at(place.line)
        if frame == 0 and self._line != ERROR_LINE:
            hidden = _OWN - set(names)
            return {name: self._parse(text) for name, text in self._ldb.locals().items() if name not in hidden}
        inner = self._names_within(frames[:frame])
        found = ((name, self._ldb.value(name)) for name in names if name not in inner)
        known = {name: self._parse(text) for name, text in found if text is not None}
        return known | {name: Value("(hidden by a local of an inner function)") for name in names if name in inner}

    def _names_within(self, frames: Sequence[Frame]) -> set[str]:
        """The locals of inner frames, which hide those of outer ones from LDB."""
        return {name for one in frames for name in self._program.code(one.place.name).locals_at(one.place.line)}

    def upvalues(self, frame: int) -> Mapping[str, Value]:
        frames = self.frames()
        found: dict[str, Value] = {}
        for name in self._upvalue_names(frame):
            text = self._ldb.value(name) if self._owner(name, frame, frames) else None
            if text is not None:
                found[name] = self._parse(text)
        return found

    def _upvalue_names(self, frame: int) -> list[str]:
        frames = self.frames()
        if frame >= len(frames):
            return []
        place = frames[frame].place
        return self._program.code(place.name).upvalues_at(place.line)

    def _owner(self, name: str, frame: int, frames: Sequence[Frame]) -> bool:
        """Whether the function that an upvalue is a local of still runs, and no frame before it has that name."""
        function = self._function(frames[frame].place)
        for at, one in enumerate(frames):
            here = self._function(one.place)
            named = name in self._program.code(one.place.name).locals_at(one.place.line)
            if at > frame and here[0] == function[0] and self._is_around(here[0], here[1], function[1]):
                if named:
                    return True
            elif named:
                return False
        return False

    def _is_around(self, name: str, outer: int, inner: int) -> bool:
        while (inner := self._program.code(name).parent_of(inner)) >= 0:
            if inner == outer:
                return True
        return False

    def arguments(self, frame: int) -> Mapping[str, Value]:
        return {name: self._parse(self._ldb.value(name) or "nil") for name in ("KEYS", "ARGV")} if frame == 0 else {}

    def evaluate(self, expression: str, frame: int) -> Value:
        expression = expression.strip()
        values = {**self.upvalues(frame), **self.variables(frame), **self.arguments(frame)}
        if is_name(expression) and expression in values:
            return values[expression]
        made: list[list[str]] = []
        for name in names_in(expression):
            if name in values:
                made.append(self._made(name, values[name]))
            elif name in self._upvalue_names(frame):
                raise EvaluationError(f"{name} is an upvalue, which the server's debugger can't read here")
        found: Value | EvaluationError | None = None
        for before in itertools.islice(itertools.product(*made), READINGS):
            try:
                value = self._evaluated(f"{' '.join(before)} return {expression}")
            except EvaluationError as error:
                found = found or error
                continue
            if value.true:
                return value
            found = value if not isinstance(found, Value) else found
        if isinstance(found, Value):
            return found
        raise found or EvaluationError("nothing to evaluate")

    def _made(self, name: str, value: Value) -> list[str]:
        """Code that makes a local. Valkey writes strings as numbers are written: then there are two ways to read it."""
        ways = [literal(value)]
        if self._ldb.valkey:
            ways.append(literal(value, texts=True))
        if None in ways:
            raise EvaluationError(f"{name} is a function: the server's debugger evaluates copies of plain values")
        if name in {"KEYS", "ARGV"}:
            ways.reverse()
        return [f"local {name} = {one};" for one in dict.fromkeys(ways)]

    def _evaluated(self, code: str) -> Value:
        try:
            sound, text = self._ldb.evaluate(code)
        except LdbError as error:
            raise EvaluationError(str(error)) from error
        if not sound:
            raise EvaluationError(re.sub(r"^ldb_eval:\d+: ", "", text))
        return self._parse(text)

    def _parse(self, text: str) -> Value:
        return parse(text, bare=self._ldb.valkey)

    def command(self, words: Sequence[str]) -> str:
        return self._ldb.command(words)

    def pause(self) -> None:
        if self._ldb.valkey:
            raise EvaluationError(
                "Valkey's debugger can't interrupt a script: set a breakpoint before it runs, or stop it"
            )
        self._pausing = True

    def close(self) -> None:
        """A Redis ends its fork when nobody listens any more, a Valkey lets a loop run on."""
        self._ldb.close()
        if not self._running or not self._pid or not self._ldb.valkey:
            return
        if self._own:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        else:
            self._say(
                "stderr", f"the script runs on in the server's process {self._pid}, a fork: kill that one there", None
            )
        self._running = False


def _own(answer: Answer) -> list[Said]:
    """What is the sproc's own of what an answer says: the engine reads the registry, and asks for the time when a run ends."""
    said: list[Said] = []
    skipping = False
    for one in answer.said:
        if one.kind == "command":
            skipping = _ENGINE_KEYS in one.text
        if not skipping or one.kind == "debug":
            said.append(one)
    if not answer.line and len(said) > 1 and said[-2].text == "TIME":
        del said[-2:]
    return said
