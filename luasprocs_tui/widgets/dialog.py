"""Dialogs above a screen: a question, a form, a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from luasprocs_tui.safe import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult

TEXT_LIMIT = 20_000


class Confirm(ModalScreen[bool]):
    """Asks before something that can do harm; the focus is on Cancel. With `typed` that word must be typed."""

    AUTO_FOCUS = "#cancel"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "Cancel", id="confirm.cancel")]

    def __init__(self, title: str, text: str, go: str, typed: str = "") -> None:
        super().__init__()
        self._title, self._text, self._go, self._typed = title, text, go, typed

    def compose(self) -> ComposeResult:
        """Title, what will happen, buttons."""
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            with VerticalScroll():
                yield Static(_coloured(self._text))
            if self._typed:
                yield Label(Text(f"This is production: type {clean(self._typed)} to go on"))
                yield Input(id="typed")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button(self._go, id="go", variant="error", disabled=bool(self._typed))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self.query_one("#go", Button).disabled = event.value != self._typed

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "go")


class Form(ModalScreen["dict[str, str | None] | None"]):
    """One field a key of the header; what changed is marked. Gives the changes, None for a key that was emptied."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="form.cancel"),
        Binding("ctrl+s", "apply", "Apply", id="form.apply"),
    ]

    def __init__(self, title: str, values: Mapping[str, str], keys: Sequence[str], check: Mapping[str, object]) -> None:
        super().__init__()
        self._title, self._values, self._keys, self._check = title, dict(values), keys, check

    def compose(self) -> ComposeResult:
        """Title, fields, buttons."""
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            with VerticalScroll(id="fields", can_focus=False):
                for key in self._keys:
                    with Horizontal(classes="field"):
                        yield Label(Text(key), classes="key", id=f"key-{key}")
                        yield Input(clean(self._values.get(key, ""), TEXT_LIMIT), id=f"value-{key}", compact=True)
            yield Static(id="problem")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Apply (ctrl+s)", id="go", variant="primary")

    @property
    def changes(self) -> dict[str, str | None]:
        """What is other than it was."""
        found: dict[str, str | None] = {}
        for key in self._keys:
            value = self.query_one(f"#value-{key}", Input).value.strip()
            if value != clean(self._values.get(key, ""), TEXT_LIMIT):
                found[key] = value or None
        return found

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        key = (event.input.id or "").removeprefix("value-")
        self.query_one(f"#key-{key}").set_class(key in self.changes, "changed")
        self._say(self._wrong_with(key))

    def _wrong_with(self, key: str) -> str:
        value = self.changes.get(key)
        check = self._check.get(key)
        return check(value) if value and callable(check) else ""

    def _say(self, problem: str) -> None:
        self.query_one("#problem", Static).update(Text(clean(problem, 400), style="red"))

    def action_apply(self) -> None:
        """Gives the changes, if all of them are sound."""
        wrong = next((said for key in self.changes if (said := self._wrong_with(key))), "")
        self._say(wrong)
        if not wrong:
            self.dismiss(self.changes)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "go":
            self.action_apply()
        else:
            self.dismiss(None)


class Ask(ModalScreen["tuple[str, ...] | None"]):
    """Some lines of text, by their labels."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", id="ask.cancel")]

    def __init__(self, title: str, labels: Sequence[str], go: str) -> None:
        super().__init__()
        self._title, self._labels, self._go = title, labels, go

    def compose(self) -> ComposeResult:
        """Title, lines, buttons."""
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            for number, label in enumerate(self._labels):
                yield Label(Text(label))
                yield Input(id=f"line-{number}")
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


class Show(ModalScreen[None]):
    """A text to read: a reply, a diff, the help."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Close", id="show.close")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """Title and text."""
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            with VerticalScroll(id="text"):
                yield Static(_coloured(self._text))

    def on_mount(self) -> None:
        """It scrolls by keys."""
        self.query_one("#text").focus()


def _coloured(text: str) -> Text:
    """Safe lines; those of a diff in its colours."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    cut = text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}\n… ({len(text)} characters)"
    lines = [Text(clean(line, 2000), style=styles.get(line[:1], "")) for line in cut.split("\n")]
    return Text("\n").join(lines)
