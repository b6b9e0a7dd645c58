"""What can be done here, in the last line."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.widget import Widget
from textual.widgets import Input

from luasprocs_tui import actions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from textual.binding import ActiveBinding
    from textual.screen import Screen


class KeyLine(Widget):
    """A key and a word each; a click on one presses the key. What is done here comes before what leads elsewhere, and what is not
    allowed last; what has no room is left out, but for the help and the palette. What else one can press takes the room that is
    left.

    One widget: Textual's Footer makes one for every key whenever the focus moves, and does not let go of those before.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key", "keys--off"}

    def __init__(self) -> None:
        super().__init__()
        self._labels: Mapping[str, str] = {}

    def relabel(self, labels: Mapping[str, str]) -> None:
        """What stands at the keys of some actions, by name, in place of their own labels: one that is left out otherwise comes
        first then, and "" leaves one out.
        """
        if labels != self._labels:
            self._labels = labels
            self.refresh()

    def on_mount(self) -> None:
        """Follows what the focus and the state make possible."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if screen.app.app_focus:
            self.refresh()

    def render(self) -> Text:
        active = self.screen.active_bindings
        first = {one.binding.action: one for one in reversed(active.values()) if self._is_shown(one)}
        last = [one for one in (first.get("app.help"), active.get(self.app.COMMAND_PALETTE_BINDING)) if one]
        here = getattr(self.screen, "PLACE", "")
        others = [one for one in reversed(first.values()) if one not in last and one.binding.action != here]
        others.sort(key=lambda one: (not one.enabled, one.binding.show, actions.footer_rank(one.binding.action)))
        line, end = Text(no_wrap=True, end=""), Text.assemble(*map(self._word, last))
        room = self.size.width - end.cell_len
        words = [self._word(one) for one in others]
        for at, word in enumerate(words):
            if line.cell_len + word.cell_len > room - (at < len(words) - 1):
                line.append("…")
                break
            line.append_text(word)
        else:
            self._fill(line, room, here, shown=first)
        line.truncate(max(0, room), pad=True)
        return line.append_text(end)

    def _fill(self, line: Text, room: int, here: str, shown: Collection[str]) -> None:
        """What a narrow screen has in its help alone, unless somebody types."""
        if isinstance(self.screen.focused, Input):
            return
        own = {f"{where}.{one.name}" for where in (here, "everywhere") for one in actions.ACTIONS}
        more = (one for one in self.screen.active_bindings.values() if one.binding.id in own and one.enabled)
        left_out = {*shown, here, *(name for name, label in self._labels.items() if not label)}
        others = (one for one in more if one.binding.action not in left_out)
        for one in sorted(others, key=lambda one: actions.footer_rank(one.binding.action)):
            if line.cell_len + (word := self._word(one)).cell_len <= room:
                line.append_text(word)

    def _is_shown(self, one: ActiveBinding) -> bool:
        return bool(self._labels.get(one.binding.action, one.binding.show))

    def _word(self, one: ActiveBinding) -> Text:
        meta = Style(meta={"press": one.binding.key})
        key = self.get_component_rich_style("keys--key" if one.enabled else "keys--off", partial=True)
        word = Style() if one.enabled else key
        action = actions.of(one.binding.action)
        sign = actions.CHANGES if action is not None and action.writes else ""
        label = self._labels.get(one.binding.action, one.binding.description)
        if one.binding.key == "escape" and isinstance(self.screen.focused, Input):
            label = "Clear"
        return Text.assemble(
            (f" {self.app.get_key_display(one.binding)} ", key + meta),
            (f"{sign}{label[:1].upper()}{label[1:]} ", word + meta),
        )

    def on_click(self, event: events.Click) -> None:
        """Presses the key that stands there."""
        if key := event.style.meta.get("press"):
            self.app.simulate_key(key)
