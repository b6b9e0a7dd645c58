"""A sproc under the server's own debugger. It stops at lines and steps by lines; the rest is made of that.

Stepping over and out stops at the lines that may follow in the frame: a loop that is stepped over runs at full speed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import hiredis

from sync.debugger.backend.boot import script_of, words_of
from sync.debugger.backend.ldb import BREAKPOINTS_LIMIT
from sync.debugger.backend.ldb_frames import LdbFrames
from sync.debugger.backend.process import Process
from sync.debugger.backend.program import ERROR_LINE, SprocLine
from sync.debugger.backend.session import OUTPUT_LIMIT_CHARS, Ended, EvaluationError, Frame, Stop, ended_by, whole
from sync.debugger.backend.values import bytes_of, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sync.debugger.backend.breakpoints import Breakpoints
    from sync.debugger.backend.ldb import Ldb, LdbAnswer, Said
    from sync.debugger.backend.program import Program
    from sync.debugger.backend.run import Run
    from sync.debugger.backend.session import Say
    from sync.debugger.backend.values import Value

_ENGINE_KEYS = "__*_Sproc_"
"""Stands in the names of a registry's keys."""
SAID_LIMIT = 100
"""Lines that are shown of one step."""
LEVELS = {"0": "debug", "1": "verbose", "2": "notice", "3": "warning"}
"""Of redis.log."""
_SAID = re.compile(r"luasprocs:(log|debug):(\d+):(\d*):([^\"]*)")
"""How boot.lua says what the sproc logs."""
_PID = re.compile(r"process_id:(\d+)")


class LdbSession:
    """`say` hears commands, replies and what goes wrong; `breakpoints` may change while it runs. `own`: nobody else's server."""

    def __init__(self, ldb: Ldb, program: Program, run: Run, breakpoints: Breakpoints, say: Say, *, own: bool) -> None:
        self._ldb, self._program, self._run = ldb, program, run
        self._breakpoints, self._say, self._own = breakpoints, say, own
        self._pausing = self._warned = self._running = False
        self._pid = 0
        self._process = Process(0)
        self._line = 0
        self._raised = ""
        self._frames = LdbFrames(ldb, program)

    def start(self, *, stop_on_entry: bool) -> Stop | Ended:
        self._ldb.begin(script_of(self._program), self._run.keys, words_of(self._program, self._run))
        info = self._ldb.command(["INFO", "server"])
        self._pid = int(found[1]) if (found := _PID.search(info)) else 0
        if self._own:
            self._process = Process(self._pid)
        for words in self._run.seed:
            reply = self._ldb.command(words)
            self._say("console", f"{' '.join(words)}: {reply}"[:OUTPUT_LIMIT_CHARS], None)
        if not stop_on_entry:
            return self._go((), lambda: False)
        name = self._run.name
        entry = self._program.line(SprocLine(name, self._program.code(name).entry))
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

    def _after(self, frames: Sequence[Frame], *, returned: bool = False) -> tuple[int, ...]:
        """The script's lines that may follow in these frames. `returned`: to their first a function is about to return."""
        lines: list[int] = []
        for frame in frames:
            name, line = frame.place
            following = self._program.code(name).following(line)
            places = {*following.lines, line} if returned else following.lines
            lines += (self._program.line(SprocLine(name, one)) for one in sorted(places))
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
            if self._line == ERROR_LINE and (raised := self._at_error()):
                return raised
            if "timeout" in answer.reason:
                if self._pausing:
                    return self._paused()
                return None
            if self._program.place(self._line):
                return None

    def _advance(self, how: str) -> LdbAnswer:
        self._running = True
        answer = self._ldb.advance(how)
        self._running = False
        return answer

    def _go(self, temporary: Sequence[int], accept: Callable[[], bool]) -> Stop | Ended:
        """On to a breakpoint, or to one of these lines where it is accepted."""
        while True:
            answer = self._advance("continue" if self._arm(temporary) else "step")
            if ended := self._seen(answer._replace(said=[one for one in answer.said if one.kind == "debug"])):
                return ended
            if "timeout" in answer.reason:
                if self._pausing and self._program.place(self._line):
                    return self._paused()
                continue
            if self._line == ERROR_LINE:
                if raised := self._at_error():
                    return raised
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

    def _arm(self, temporary: Sequence[int]) -> bool:
        """Sets where to stop. Whether the server's debugger takes so many lines: if not, each line is looked at here."""
        lines = tuple(dict.fromkeys((*sorted(self._breakpoint_lines()), *temporary)))
        few = len(lines) <= BREAKPOINTS_LIMIT
        if not few and not self._warned:
            self._warned = True
            text = f"with more than {BREAKPOINTS_LIMIT} breakpoints the sproc runs line by line, which is slow"
            self._say("console", text, None)
        self._ldb.stop_at(lines if few else ())
        return few

    def _wanted(self, place: SprocLine) -> bool:
        return self._breakpoints.wanted_at(
            place, lambda text: self.evaluate(text, 0), lambda text: self._say("console", text, place)
        )

    def _seen(self, answer: LdbAnswer) -> Ended | None:
        """Shows what an answer says. How it ended, if it did."""
        before = self._program.place(self._line) if self._line else None
        said = _own(answer)
        for one in said[:SAID_LIMIT]:
            if found := _SAID.search(one.text):
                self._say_own(*found.groups())
                continue
            text = one.text[:OUTPUT_LIMIT_CHARS]
            kind = "stdout" if one.kind == "debug" else "console"
            self._say(kind, f"  {text}" if one.kind == "reply" else text, before)
        if len(said) > SAID_LIMIT:
            self._say("console", f"… and {len(said) - SAID_LIMIT} lines", before)
        self._line = answer.line
        self._frames.forget()
        if answer.line:
            return None
        if isinstance(answer.reply, hiredis.ReplyError):
            return whole(ended_by(str(answer.reply), self._program), self._raised)
        return Ended(json.dumps(answer.reply, ensure_ascii=False, default=str)[:OUTPUT_LIMIT_CHARS])

    def _say_own(self, what: str, line: str, level: str, written: str) -> None:
        """What the sproc logs, or shows by redis.debug."""
        place = self._program.place(int(line))
        if what == "log":
            text = f"{LEVELS.get(level, level)}: {bytes_of(written).decode('utf-8', 'surrogateescape')}"
            self._say("console", text[:OUTPUT_LIMIT_CHARS], place)
        else:
            text = ", ".join(one.text for one in parse(written))
            self._say("stdout", text[:OUTPUT_LIMIT_CHARS], place)

    def _at_error(self) -> Stop | None:
        """The stop, unless a tail call has left nothing to look at."""
        self._raised = self._program.named(self._frames.raised())[:OUTPUT_LIMIT_CHARS]
        return Stop("exception", self._raised) if self._breakpoints.on_error and self.frames() else None

    def frames(self) -> Sequence[Frame]:
        return self._frames.all()

    def variables(self, frame: int) -> Mapping[str, Value]:
        return self._frames.variables(frame)

    def upvalues(self, frame: int) -> Mapping[str, Value]:
        return self._frames.upvalues(frame)

    def arguments(self, frame: int) -> Mapping[str, Value]:
        return self._frames.arguments(frame)

    def evaluate(self, expression: str, frame: int, *, sets: bool = False) -> Value:
        return self._frames.evaluate(expression.strip(), frame, sets=sets)

    def command(self, words: Sequence[str]) -> str:
        return self._ldb.command(words)

    def pause(self) -> None:
        if self._ldb.valkey:
            raise EvaluationError(
                "Valkey's debugger can't interrupt a script: set a breakpoint before it runs, or stop it"
            )
        self._pausing = True

    def close(self) -> None:
        """A Redis ends its fork if nobody listens, but not within an expression.

        A Valkey lets any loop run on, and so does a server that is killed.
        """
        loops = self._ldb.waiting and (self._ldb.valkey or not self._running)
        self._ldb.close()
        if self._own:
            self._process.kill()
        if loops and not self._own:
            self._say(
                "stderr", f"the script runs on in the server's process {self._pid}, a fork: kill that one there", None
            )
        self._running = False


def _own(answer: LdbAnswer) -> list[Said]:
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
