"""The screen of `luasprocs debug`: source, variables, stack, and what was said."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from luasprocs_tui import signals
from luasprocs_tui.debugger.client import AdapterClient, RefusedError
from luasprocs_tui.debugger.listing import Listing
from luasprocs_tui.themes import CONTRAST
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.keys import KeyLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.binding import BindingType

SAID_KEPT = 500
ROWS = 60
KEYS_KEPT = 20
"""Steps that were pressed while one runs."""
_STEPS = {"in": "stepIn", "next": "next", "out": "stepOut", "continue": "continue"}
_TONES = {"stderr": "bold red", "stdout": "bold", "console": "dim"}


class DebuggerApp(App[None]):
    """`launch`: what the adapter launches."""

    TITLE = "luasprocs debug"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "debugger.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "go('in')", "Step"),
        Binding("n", "go('next')", "Next"),
        Binding("o", "go('out')", "Out"),
        Binding("c", "go('continue')", "Continue"),
        Binding("b", "stop_here", "Break"),
        Binding("p", "ask", "Print"),
        Binding("w", "where", "Where"),
        Binding("k", "keys", "Keys"),
        Binding("q", "leave", "Quit"),
        Binding("escape", "source", show=False),
        Binding("ctrl+c", "leave", show=False),
    ]

    def __init__(self, launch: Mapping[str, Any]) -> None:
        super().__init__()
        self.register_theme(CONTRAST)
        self._launch = launch
        self._client = AdapterClient(self._heard)
        self._said: deque[tuple[str, str]] = deque(maxlen=SAID_KEPT)
        self._stops: dict[str, list[int]] = {}
        self._frames: list[dict[str, Any]] = []
        self._frame = 0
        self._path = str(launch.get("program", ""))
        self._keys = False
        self._over = self._busy = False
        self._pressed: deque[str] = deque(maxlen=KEYS_KEPT)

    def compose(self) -> ComposeResult:
        yield Static(Text("starting…"), id="status")
        with Horizontal(id="main"):
            yield Listing(id="listing")
            with Vertical(id="beside"):
                yield Static(id="variables")
                yield Static(id="stack")
        yield Static(id="said")
        yield Input(placeholder="an expression, or > and a Redis command", id="line")
        yield KeyLine()

    def on_mount(self) -> None:
        signals.hear(self)
        self.query_one("#line").display = False
        self.screen.set_focus(self.query_one(Listing))
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._show_source(0)
        self.run_worker(self._start(), exit_on_error=False)

    async def _start(self) -> None:
        try:
            await self._client.start()
            await self._client.ask("initialize", adapterID="luasprocs")
            await self._client.ask("launch", **self._launch)
            await self._client.ask("configurationDone")
        except (RefusedError, OSError) as error:
            self._say("stderr", f"{error}")
            self._end("it can't be debugged")

    def _heard(self, event: str, body: dict[str, Any]) -> None:
        if event == "output":
            self._say(str(body.get("category", "")), str(body.get("output", "")))
        elif event == "stopped":
            self.run_worker(self._stopped(str(body.get("reason", "")), str(body.get("text", ""))), exit_on_error=False)
        elif event == "exited":
            self._end("it raised an error" if body.get("exitCode") else "it has ended")
        elif event == "ended":
            self._end("the debugger has ended")

    def _say(self, category: str, text: str) -> None:
        for line in text.rstrip("\n").split("\n"):
            self._said.append((category, line))
        said = self.query_one("#said", Static)
        rows = max(1, said.content_size.height)
        lines = [Text(clean(line, 300), style=_TONES.get(kind, "")) for kind, line in [*self._said][-rows:]]
        wrapped = Text("\n").join(lines).wrap(self.console, max(1, said.content_size.width))
        said.update(Text("\n").join(wrapped[-rows:]))

    def _end(self, text: str) -> None:
        if self._over:
            return
        self._over = True
        self._frames = []
        self._status(text, "bold")
        self._show_source(0)
        for part in ("#variables", "#stack"):
            self.query_one(part, Static).update()

    def _status(self, text: str, style: str = "") -> None:
        name = Path(self._path).name
        self.query_one("#status", Static).update(Text(clean(f"{name}  {text}", 300), style=style, no_wrap=True))

    async def _stopped(self, reason: str, text: str) -> None:
        """Shows where it stands, and goes on if a step was pressed meanwhile."""
        if reason != "step":
            self._pressed.clear()
        await self._look(reason, text)
        self._busy = False
        if self._pressed:
            await self.action_go(self._pressed.popleft())

    async def _look(self, reason: str, text: str) -> None:
        """Reads what it stands in."""
        try:
            self._frames = (await self._client.ask("stackTrace", threadId=1))["stackFrames"]
            self._frame = 0
            self._path = self._frames[0]["source"]["path"] if self._frames else self._path
            line = self._frames[0]["line"] if self._frames else 0
            self._status(
                f"line {line}  {reason}{': ' if text else ''}{text}", "bold red" if reason == "exception" else "bold"
            )
            await self._show_frame()
        except RefusedError as error:
            self._say("stderr", str(error))

    async def _show_frame(self) -> None:
        if not self._frames:
            return
        frame = self._frames[self._frame]
        self._path = frame["source"]["path"]
        self._show_source(frame["line"])
        lines = [
            Text(clean(f"{'>' if at == self._frame else ' '} {one['source']['name']}:{one['line']} {one['name']}", 200))
            for at, one in enumerate(self._frames[:ROWS])
        ]
        self.query_one("#stack", Static).update(Text("\n").join(lines))
        scopes = (await self._client.ask("scopes", frameId=frame["id"]))["scopes"]
        rows: list[Text] = []
        for scope in scopes:
            if not self._keys or scope["name"] == "Arguments":
                rows += await self._rows(scope["variablesReference"], 0)
        self.query_one("#variables", Static).update(Text("\n").join(rows[:ROWS]))

    async def _rows(self, reference: int, depth: int) -> list[Text]:
        rows: list[Text] = []
        for one in (await self._client.ask("variables", variablesReference=reference, count=ROWS))["variables"]:
            text = f"{'  ' * depth}{one['name']} = {one['value']}"
            rows.append(Text(clean(text, 200), no_wrap=True, overflow="ellipsis"))
            if self._keys and one["variablesReference"] and depth == 0:
                rows += await self._rows(one["variablesReference"], 1)
        return rows

    def _show_source(self, line: int) -> None:
        from luasprocs_tui.values.source_lines import lines_of  # noqa: PLC0415  # pygments, after the first paint

        try:
            source = Path(self._path).read_bytes()
        except OSError as error:
            source = str(error).encode()
        listing = self.query_one(Listing)
        listing.show(lines_of(source, dark=self.current_theme.dark), line, self._stops.get(self._path, ()))

    async def action_go(self, how: str) -> None:
        if self._busy:
            self._pressed.append(how)
            return
        if not self._frames:
            return
        self._frames, self._busy = [], True
        self._status("runs…")
        try:
            await self._client.ask(_STEPS[how], threadId=1)
        except RefusedError as error:
            self._say("stderr", str(error))

    async def action_stop_here(self) -> None:
        """Sets a breakpoint on the cursor's line, or removes it."""
        line = self.query_one(Listing).cursor
        lines = self._stops.get(self._path, [])
        wanted = [one for one in lines if one != line] if line in lines else [*lines, line]
        try:
            answer = await self._client.ask(
                "setBreakpoints", source={"path": self._path}, breakpoints=[{"line": one} for one in wanted]
            )
        except RefusedError as error:
            self._say("stderr", str(error))
            return
        found = answer["breakpoints"]
        self._stops[self._path] = sorted(
            {one["line"] for one in found if one["verified"] or one["reason"] == "pending"}
        )
        for one in found:
            if not one["verified"]:
                self._say("stderr", str(one.get("message", "no breakpoint can be there")))
        self.query_one(Listing).mark(self._stops[self._path])

    def action_ask(self) -> None:
        line = self.query_one("#line", Input)
        line.display = True
        self.screen.set_focus(line)  # at once: what is typed next is for it

    def action_source(self) -> None:
        self.query_one("#line").display = False
        self.screen.set_focus(self.query_one(Listing))

    @on(Input.Submitted)
    async def _evaluate(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        event.input.value = ""
        self.action_source()
        if not text:
            return
        frame = self._frames[self._frame]["id"] if self._frames else 0
        self._say("stdout", text)
        try:
            answer = await self._client.ask("evaluate", expression=text, context="repl", frameId=frame)
            self._say("console", f"  {answer['result']}")
        except RefusedError as error:
            self._say("stderr", f"  {error}")

    async def action_where(self) -> None:
        """Shows the next outer function, and after the last the innermost."""
        if self._frames:
            self._frame = (self._frame + 1) % len(self._frames)
            await self._show_frame()

    async def action_keys(self) -> None:
        """KEYS and ARGV instead of the variables, and back."""
        self._keys = not self._keys
        await self._show_frame()

    async def action_leave(self) -> None:
        await self._client.close()
        self.exit()
