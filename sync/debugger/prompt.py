"""The debugger at a plain prompt: for pipes, scripts and terminals without a screen."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from luasprocs.errors import LuasprocsError, ScriptError, SettingsError
from luasprocs.language.places import LINE_END
from sync.debugger.backend.breakpoints import Breakpoint, Breakpoints
from sync.debugger.backend.session import Ended
from sync.debugger.backend.values import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sync.console import Console
    from sync.debugger.backend.program import SprocLine
    from sync.debugger.backend.session import DebugSession, Stop
    from sync.debugger.backend.values import Value
    from sync.debugger.launch import Launched

HELP = """s, step          to the next line, into functions
n, next          to the next line of this function
o, out           to the end of this function
c, continue      to the next breakpoint, or the end
b, break WHERE   set or remove a breakpoint: LINE, or FILE:LINE; without WHERE: list them
p, print EXPR    an expression's value; without EXPR: the locals
w, where         the functions that run
k, keys          KEYS and ARGV
> COMMAND        do a Redis command
l, list          the source around this line
q, quit          end the session"""
AROUND = 5


class Prompt:
    """A session at a prompt. `run` returns the exit code."""

    def __init__(self, console: Console, launched: Launched) -> None:
        self._console, self._launched = console, launched
        self._breakpoints = Breakpoints()
        self._set: dict[str, list[int]] = {}
        self._session: DebugSession | None = None
        self._over = False
        self._code = 0
        self._steps = {"s": "in", "step": "in", "n": "next", "next": "next", "o": "out", "out": "out"}
        self._steps |= {"c": "continue", "continue": "continue"}
        self._commands: Mapping[str, Callable[[str], None]] = {
            **dict.fromkeys(("b", "break"), self._break),
            **dict.fromkeys(("p", "print"), self._print),
            **dict.fromkeys(("w", "where"), self._where),
            **dict.fromkeys(("k", "keys"), self._keys),
            **dict.fromkeys(("l", "list"), self._list),
            **dict.fromkeys(("h", "help", "?"), lambda _: self._lines(HELP)),
            ">": self._redis,
        }

    def run(self) -> int:
        session = self._session = self._launched.session(self._breakpoints, self._say, self._console.error)
        self._ended_or_at(session.start(stop_on_entry=True))
        while not self._over:
            if sys.stdin.isatty():
                self._console.out.write("(debug) ")
                self._console.out.flush()
            line = sys.stdin.readline()
            if not line or line.strip() in {"q", "quit"}:
                break
            self._do(session, line.strip())
        return self._code

    def _do(self, session: DebugSession, line: str) -> None:
        word, _, rest = (f"> {line[1:]}" if line.startswith(">") else line).partition(" ")
        if not word:
            return
        try:
            if word in self._steps:
                self._ended_or_at(session.resume(self._steps[word]))
            elif word in self._commands:
                self._commands[word](rest.strip())
            else:
                self._console.error(f"there is no command {word!r}: h lists them")
        except (ScriptError, SettingsError) as error:
            self._console.error(readable(str(error)))

    def _say(self, category: str, text: str, place: SprocLine | None) -> None:
        del place
        text = readable(text)
        if category == "stderr":
            self._console.error(text)
        else:
            self._console.line(text, *(["dim"] if category == "console" else []))

    def _ended_or_at(self, found: Stop | Ended) -> None:
        if isinstance(found, Ended):
            self._over = True
            self._code = 1 if found.error else 0
            if found.error:
                self._console.error(readable(found.error))
            else:
                self._console.line(readable(f"reply: {found.reply}"))
            return
        self._code = int(found.reason == "exception")
        if found.text:
            self._console.error(readable(found.text))
        place = self._at()
        self._console.line(f"{place}  {self._source(place)}", "bold")

    def _at(self) -> SprocLine:
        frames = self._alive.frames()
        if not frames:
            raise ScriptError("it stands in no sproc")
        return frames[0].place

    @property
    def _alive(self) -> DebugSession:
        if self._session is None:
            raise ScriptError("nothing is being debugged")
        return self._session

    def _source(self, place: SprocLine) -> str:
        lines = self._text(place.name)
        return lines[place.line - 1].strip() if place.line <= len(lines) else ""

    def _text(self, name: str) -> list[str]:
        text = self._launched.program.sprocs[name].source.decode("utf-8", "replace")
        return LINE_END.split(text)

    def _lines(self, text: str) -> None:
        for line in text.split("\n"):
            self._console.line(line)

    def _break(self, where: str) -> None:
        if not where:
            for name, lines in self._set.items():
                for line in lines:
                    self._console.line(f"{name}:{line}")
            return
        name, _, digits = where.rpartition(":")
        if name and name not in self._launched.program.sprocs:
            name = self._launched.name_of(name)
        name = name or self._at().name
        if not digits.isdigit() or name not in self._launched.program.sprocs:
            raise SettingsError(f"no such place {where!r}: give LINE, or FILE:LINE with a file of this work tree")
        found = self._launched.program.code(name).at_or_after(int(digits))
        if found is None:
            raise SettingsError(f"{name} has no code at line {digits} or below")
        line, lines = found, self._set.setdefault(name, [])
        kept = [one for one in lines if one != line] if line in lines else [*lines, line]
        self._set[name] = kept
        self._breakpoints.replace(name, [Breakpoint(one) for one in kept], self._launched.program)
        self._console.line(f"breakpoint at {name}:{line}{'' if line in kept else ' removed'}")

    def _print(self, expression: str) -> None:
        if expression:
            self._console.line(self._alive.evaluate(expression, 0, sets=True).text)
            return
        self._values({**self._alive.upvalues(0), **self._alive.variables(0)})

    def _values(self, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            self._console.line(f"{name} = {value.text}")

    def _where(self, _: str) -> None:
        for frame in self._alive.frames():
            self._console.line(f"{frame.place}  {frame.name}")

    def _keys(self, _: str) -> None:
        self._values(self._alive.arguments(0))

    def _list(self, _: str) -> None:
        place = self._at()
        lines = self._text(place.name)
        for number in range(max(1, place.line - AROUND), min(len(lines), place.line + AROUND) + 1):
            sign = ">" if number == place.line else "*" if number in self._set.get(place.name, ()) else " "
            self._console.line(f"{number:>4}{sign} {lines[number - 1]}")

    def _redis(self, text: str) -> None:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise SettingsError(f"{text!r}: {error}") from error
        if words:
            self._console.line(readable(self._alive.command(words)))


def run_prompt(console: Console, launched: Launched) -> int:
    """The exit code: 0, or 1 if the sproc raised an error."""
    try:
        return Prompt(console, launched).run()
    except LuasprocsError as error:
        console.error(str(error))
        return 2
    finally:
        launched.close()
