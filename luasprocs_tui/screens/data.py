"""Screens that show all of what was read, again and again; those of a text: stats, what git wants."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Static

from luasprocs_tui import messages
from luasprocs_tui.screens.polled import PolledScreen
from luasprocs_tui.values.freshness import READING, Freshness
from luasprocs_tui.values.numbers import age
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.scroll import TextScroll
from luasprocs_tui.widgets.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.message import Message

    from luasprocs_tui.backend.protocol import Backend

T = TypeVar("T")


class DataScreen(PolledScreen, Generic[T]):
    """Subclasses say how to `read`, and how to `show` what was read."""

    GROUP = "data"
    EVERY_S: ClassVar[float] = 1.0
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back", id="live.back")]

    def __init__(self) -> None:
        super().__init__()
        self._freshness = Freshness()

    @property
    def every_s(self) -> float:
        return self.EVERY_S

    def read(self, backend: Backend) -> T:
        """In a thread: all there is."""
        raise NotImplementedError

    def show(self, found: T) -> None:
        raise NotImplementedError

    def show_failed(self, reason: str) -> None:
        """Why nothing could be read so far, where it would stand."""

    def content(self) -> ComposeResult:
        """Between title and footer."""
        raise NotImplementedError

    def reader(self, backend: Backend) -> Callable[[], Message]:
        return lambda: messages.DataRead(self.read(backend))

    def compose(self) -> ComposeResult:
        yield Status()
        yield Static(id="title")
        yield from self.content()
        yield KeyLine()

    def on_mount(self) -> None:
        """Starts to say how old it is."""
        self.set_interval(1, self.say)
        self.call_after_refresh(self.say)  # not before it is mounted, of which this is a part

    @on(messages.DataRead)
    def _data_read(self, event: messages.DataRead[T]) -> None:
        self._freshness = Freshness(time.monotonic())
        self.show(event.found)
        self.say()

    @on(messages.ReadFailed)
    def _read_failed(self, event: messages.ReadFailed) -> None:
        self._freshness = Freshness(self._freshness.read_at_s, event.reason)
        self.say()

    def say(self) -> None:
        if not self.is_mounted:
            return
        if self._freshness.read_at_s is None and self._freshness.error:
            self.show_failed(self._freshness.error)
        title = Text.assemble(self.way, (clean(self.heading, 200), "bold"), "  ", clean(self._state(), 400))
        title.no_wrap, title.overflow = True, "ellipsis"
        draw(self, "#title", title)

    def _state(self) -> str:
        now_s, error = time.monotonic(), self._freshness.error
        if self._freshness.read_at_s is None:
            return "can't be read" if error else READING
        if self._freshness.stale(now_s):
            return f"data {age(self._freshness.age_s(now_s))} old: {error or 'no answer'}"
        return self.fresh()

    def fresh(self) -> str:
        """What is said behind the name as long as it is fresh."""
        return ""


class TextScreen(DataScreen[Text]):
    """A text, which `read` makes, safe, in the thread."""

    def content(self) -> ComposeResult:
        with TextScroll(id="text"):
            yield Static(id="body")

    def on_mount(self) -> None:
        self.query_one("#text").focus()

    def copied(self) -> str:
        return str(self.query_one("#body", Static).content)

    def exported(self) -> tuple[str, str]:
        return f"{self.PLACE}.txt", self.copied() + "\n"

    def show_failed(self, reason: str) -> None:
        self.show(Text(clean(reason, 2000), "red"))

    def show(self, found: Text) -> None:
        """Draws it; the place stays."""
        draw(self, "#body", found, sized=True)
