"""A header as a form, above a screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Label, Static

from luasprocs_tui.values.lines import TEXT_LIMIT
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.fitted import Dialog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from textual.app import ComposeResult
    from textual.timer import Timer

DRAFT = "this is your draft of before: ctrl+s applies it, ctrl+r drops it"
REST_S = 0.5
"""What a value would do is looked up once nothing was typed for so long."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is typed outlives the form. `changes`: of before; `keep`: says of all changes why they can't be kept, or ""."""

    changes: Mapping[str, str | None] = field(default_factory=dict)
    keep: Callable[[Mapping[str, str | None]], str] = lambda _: ""


NOT_KEPT = Kept()


class Fields(VerticalScroll, can_focus=False, inherit_bindings=False):
    """Fields one below the other. Up and down go from one to the next: what is typed goes into one that is seen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "go(-1)", "Field above", show=False, id="form.up"),
        Binding("down", "go(1)", "Field below", show=False, id="form.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="form.pageup"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="form.pagedown"),
    ]

    def action_go(self, by: int) -> None:
        """To another field; the first and the last are ends."""
        fields = [*self.query(Input)]
        focused = self.screen.focused
        if isinstance(focused, Input) and focused in fields:
            self.screen.set_focus(fields[max(0, min(fields.index(focused) + by, len(fields) - 1))])

    def action_page(self, by: int) -> None:
        self.action_go(by * max(1, self.size.height - 1))


class Form(Dialog["dict[str, str | None] | None"]):
    """One field a key of the header; what changed is marked. Gives the changes, None for a key that was emptied.

    `check`: for a key what is wrong with a value; `preview(key, values, then)` calls `then` later, in the app's thread, with
    what a key's value would do with all the values, or "". `kept`: of what is typed.
    """

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "Cancel", id="form.cancel"),
        Binding("ctrl+s", "apply", "Apply", id="form.apply"),
        Binding("ctrl+r", "drop", "Drop", id="form.drop"),
    ]

    def __init__(
        self,
        title: str,
        values: Mapping[str, str],
        keys: Sequence[str],
        check: Mapping[str, Callable[[str], str]],
        preview: Callable[[str, Mapping[str, str], Callable[[str], object]], object],
        kept: Kept = NOT_KEPT,
    ) -> None:
        super().__init__()
        self._title, self._check, self._preview, self._kept = title, check, preview, kept
        self._values = {key: clean(values.get(key, ""), TEXT_LIMIT) for key in keys}
        # An own key may hold what no id may.
        self._ids = {key: key if key.isidentifier() and key.isascii() else f"n{at}" for at, key in enumerate(keys)}
        self._rest: Timer | None = None
        self._looked_at = ""
        self._warned = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Text(clean(self._title), style="bold"))
            with Fields(id="fields"):
                for key, value in self._values.items():
                    with Horizontal(classes="field"):
                        yield Label(Text(clean(key, 40)), classes="key", id=f"key-{self._ids[key]}")
                        typed = self._kept.changes.get(key, value) or ""
                        yield Input(clean(typed, TEXT_LIMIT), id=f"value-{self._ids[key]}", name=key, compact=True)
            yield Static(id="problem")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Apply (ctrl+s)", id="go", variant="primary")

    @property
    def current(self) -> dict[str, str]:
        """All values as they stand."""
        return {one.name or "": one.value.strip() for one in self.query("#fields Input").results(Input)}

    @property
    def changes(self) -> dict[str, str | None]:
        """What is other than it was."""
        return {key: value or None for key, value in self.current.items() if value != self._values[key]}

    def on_mount(self) -> None:
        for key in self._kept.changes:
            self._mark(key)
        self._say("", bad=False)

    def _mark(self, key: str) -> None:
        self.query_one(f"#key-{self._ids[key]}").set_class(key in self.changes, "changed")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        key, self._warned = event.input.name or "", False
        if event.input.has_focus:  # not what is filled in at the beginning
            event.input.scroll_visible(animate=False)  # the wheel may have left it
        self._mark(key)
        wrong = self._kept.keep(self.changes) or self._wrong_with(key)
        self._say(wrong)
        self._look_soon("" if wrong else key)

    def on_descendant_focus(self) -> None:
        """What the value of this field does."""
        if isinstance(self.focused, Input):
            self._look_soon(self.focused.name or "")

    def _look_soon(self, key: str) -> None:
        """What it does stands below soon, unless something else is said there before; "": no key's does."""
        self._looked_at = key
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_S, lambda: self._look(key, self.current)) if key else None

    def _look(self, key: str, values: Mapping[str, str]) -> None:
        self._preview(key, values, lambda said: self._say_if_still(key, values, said))

    def _say_if_still(self, key: str, values: Mapping[str, str], said: str) -> None:
        if self.is_attached and self.current == values and not self._wrong_with(key) and key == self._looked_at:
            self._say(said, bad=False)

    def _wrong_with(self, key: str) -> str:
        value, check = self.changes.get(key), self._check.get(key)
        return check(value) if value and check else ""

    def _say(self, said: str, *, bad: bool = True) -> None:
        """Below the fields; where there is nothing else to say, that it is a draft."""
        if not said and self._kept.changes:
            said, bad = DRAFT, False
        draw(self, "#problem", Text(clean(said, 400), style="bold red" if bad else "dim"), sized=True)
        self.fit_soon()

    def action_give_up(self) -> None:
        """Leaves, at the second time where something was typed."""
        if not self.changes or self._warned:
            self.dismiss(None)
            return
        self._warned = True
        self._look_soon("")
        named = ", ".join(self.changes)
        self._say(f"unsaved changes ({named}): esc again keeps them for later, ctrl+s applies them, ctrl+r drops them")

    def action_drop(self) -> None:
        """Leaves, and nothing is kept."""
        self._kept.keep({})
        self.dismiss(None)

    def action_apply(self) -> None:
        """Gives the changes, if all of them are sound."""
        wrong = next((said for key in self.changes if (said := self._wrong_with(key))), "")
        if wrong:
            self._look_soon("")
            self._say(wrong)
        else:
            self.dismiss(self.changes)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "go":
            self.action_apply()
        else:
            self.action_give_up()
