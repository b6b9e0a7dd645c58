"""Dialogs above a screen: a question, a form, a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, OptionList, Static

from luasprocs_tui import actions
from luasprocs_tui.values.lines import coloured
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.fitted import Dialog
from luasprocs_tui.widgets.scroll import Scrolls, TextScroll

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.widget import Widget


class Confirm(Scrolls, Dialog[bool]):
    """Asks before something that can do harm; the focus is on Cancel. With `typed` that word must be typed."""

    AUTO_FOCUS = "#typed, #cancel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Cancel", id="confirm.cancel"),
        *actions.moves("confirm"),
    ]

    def __init__(self, title: str, text: str, go: str, typed: str = "") -> None:
        super().__init__()
        self._title, self._text, self._go, self._typed = title, text, go, typed

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            with TextScroll(id="text"):
                yield Static(coloured(self._text))
            if self._typed:
                yield Label(Text(f"This is production: type {clean(self._typed)} to go on"), id="typed-label")
                yield Input(id="typed", compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button(self._go, id="go", variant="error", disabled=bool(self._typed))

    @property
    def scrolled(self) -> Widget:
        return self.query_one("#text")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self.query_one("#go", Button).disabled = event.value != self._typed

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value == self._typed:
            self.dismiss(True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "go")


class Ask(Dialog["tuple[str, ...] | None"]):
    """Some lines of text, by their labels."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", id="ask.cancel")]

    def __init__(self, title: str, labels: Sequence[str], go: str, values: Sequence[str] = (), note: str = "") -> None:
        super().__init__()
        self._title, self._labels, self._go, self._note = title, labels, go, note
        self._values = [*values, *[""] * (len(labels) - len(values))]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            for number, (label, value) in enumerate(zip(self._labels, self._values, strict=True)):
                yield Label(Text(label))
                yield Input(value, id=f"line-{number}", compact=True)
            if self._note:
                yield Static(Text(clean(self._note, 400), "dim"), id="ask-note")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button(self._go, id="go", variant="primary")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self._give()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "go":
            self._give()
        else:
            self.dismiss(None)

    def _give(self) -> None:
        self.dismiss(tuple(self.query_one(f"#line-{number}", Input).value for number in range(len(self._labels))))


class Options(OptionList):
    """With the keys of a list."""

    BINDINGS: ClassVar[list[BindingType]] = [*actions.moves("choose")]

    def action_move(self, by: int) -> None:
        self.highlighted = max(0, min((self.highlighted or 0) + by, self.option_count - 1))

    def action_page(self, by: float) -> None:
        self.action_move(round(by * max(2, self.size.height)))

    def action_end(self, by: int) -> None:
        self.action_move(by * self.option_count)


class Choose(Dialog["str | None"]):
    """One of some, by its key and how it is shown."""

    LEAVES = "enter takes it, esc cancels"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="choose.cancel"),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, str]], at: int = 0) -> None:
        super().__init__()
        self._title, self._options, self._at = title, options, at

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            yield Options(*(Text(clean(said, 200)) for _, said in self._options))

    def on_mount(self) -> None:
        """The cursor is on the one that holds now."""
        self.query_one(Options).highlighted = self._at

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._options[event.option_index][0])


class Show(Dialog[None]):
    """A text to read: a reply, a job, or a `diff`."""

    LEAVES = "esc closes"

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Close", id="show.close")]

    def __init__(self, title: str, text: str, *, diff: bool = False) -> None:
        super().__init__()
        self._title, self._text, self._diff = title, text, diff

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            with TextScroll(id="text"):
                yield Static(coloured(self._text, diff=self._diff))

    def on_mount(self) -> None:
        self.query_one("#text").focus()
