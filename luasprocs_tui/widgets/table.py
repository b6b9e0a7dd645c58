"""A table drawn line by line: a hundred thousand rows cost what fits on the screen."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from luasprocs_tui import actions, messages
from luasprocs_tui.values.columns import GAP, Line, fit, folded, row_text, widths
from luasprocs_tui.values.lines import BENEATH
from luasprocs_tui.values.sheets import labelled
from luasprocs_tui.values.times import in_zone
from luasprocs_tui.widgets.scroll import set_content_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from textual import events

    from luasprocs_tui.values.columns import Column


class Table(ScrollView, can_focus=True):
    """Rows under a fixed head, with a cursor that follows its row's key. If `stale`, all but emergencies is dim."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *actions.moves("table"),
        Binding("enter", "open", "Open", id="table.open"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *("table--head", "table--cursor", "table--bad", "table--off", "table--warn", "table--marked"),
        "table--beneath",
    }

    cursor: reactive[int] = reactive(0, repaint=False)
    none: reactive[str] = reactive("")
    """Why there are no rows, and what to do."""
    stale: reactive[bool] = reactive(default=False)

    def __init__(self, columns: Sequence[Column], *, opens: bool = True, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        """`opens`: whether `enter` does anything, and is offered."""
        super().__init__(id=id)
        self._columns, self._opens = columns, opens
        self._keys: Sequence[str] = ()
        self._line: Callable[[int], Line] = lambda _: Line("", ())
        self._longest = [cell_len(column.label) for column in columns]
        self._told: str | None = None
        self._sorted: tuple[int, str] | None = None
        self._follows, self._moved = True, False
        self._marked: frozenset[str] = frozenset()
        self._sizes: tuple[Sequence[int], int, list[int]] = ((), 0, [])
        self._drawn: dict[int, tuple[int, Line | None]] = {}

    def on_focus(self, event: events.Focus) -> None:
        """It looks the same with and without the focus: to draw all of it anew took most of a key's time."""
        event.prevent_default()
        self.has_focus = True

    def on_blur(self, event: events.Blur) -> None:
        event.prevent_default()
        self.has_focus = False

    def watch_has_focus(self, _has_focus: bool) -> None:
        """No style depends on it."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return (action != "open" or self._opens) and super().check_action(action, parameters)

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        return self._keys[self.cursor] if self.cursor < len(self._keys) else None

    @property
    def follows(self) -> bool:
        """Whether it goes along with rows that come: the user has left neither the last row nor the bottom."""
        return self._follows

    def sheet(self, *keys: str) -> list[dict[str, str]]:
        """Rows by the labels of their columns: those of `keys`, or all. A line without cells belongs to rows, and is none."""
        labels = self._labels()
        lines = (self._line(at) for at, key in enumerate(self._keys) if not keys or key in keys)
        return [labelled(labels, line.cells) for line in lines if line.cells]

    @property
    def visible_keys(self) -> tuple[str, ...]:
        """Keys of the rows on the screen."""
        top = self.scroll_offset.y
        return tuple(self._keys[top : top + max(0, self.size.height - 1)])

    def mark(self, keys: frozenset[str]) -> None:
        """Marks rows, and no others, with a star."""
        if keys != self._marked:
            self._marked = keys
            self.refresh()

    def mark_sorted(self, column: int | None, *, descending: bool) -> None:
        """An arrow in the head of the column that the rows are sorted by."""
        arrow = None if column is None else (column, "↓" if descending else "↑")
        if arrow != self._sorted:
            self._sorted = arrow
            self.refresh()

    def measure(self, lines: Iterable[Line], *, more: bool = False) -> None:
        """Makes the columns wide enough for these rows, which may be more than are shown: a filter moves no column.

        `more`: for those before, too.
        """
        longest = self._longest if more else [cell_len(column.label) for column in self._columns]
        for line in lines:
            longest = [max(pair) for pair in zip_longest(longest, map(len, line.cells), fillvalue=0)]
        self._longest = longest

    def show(self, keys: Sequence[str], line: Callable[[int], Line]) -> None:
        """Replaces the rows by those of `keys`; `line` makes the one at a place when it is drawn, and not before.

        The cursor stays on its key, or about where it was if that is gone, or if nobody has moved it yet.
        """
        selected = self.selected
        stays = selected is not None and selected in keys
        self._keys, self._line = keys, line
        set_content_size(self, Size(0, len(keys) + 1))
        at = keys.index(str(selected)) if stays and self._moved else max(0, min(self.cursor, len(keys) - 1))
        self.cursor = self._row_at(at)
        self._tell()
        self.refresh_changed()

    def refresh_changed(self) -> None:
        """Draws what differs from what is on the screen: of many rows most are quiet."""
        if self._sizes[0] != self._longest:
            self.refresh()
            return
        for y in range(self.size.height):
            if self._drawn.get(y) != self._at(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def _at(self, y: int) -> tuple[int, Line | None]:
        """What stands at a line of the screen: the number of a row, and the row; -1 is the head."""
        if y == 0:
            return -1, Line("", tuple(self._labels()))
        index = self.scroll_offset.y + y - 1
        return index, self._line(index) if index < len(self._keys) else None

    def show_lines(self, lines: Sequence[Line]) -> None:
        """The same with rows that are made already."""
        self.show([line.key for line in lines], lines.__getitem__)

    def show_tail(self, keys: Sequence[str], line: Callable[[int], Line], gone: int) -> None:
        """Replaces the rows by a later stretch of the same ones, `gone` rows on: it goes along, or what is on the screen
        stays where it is.
        """
        follows, top = self._follows, self.scroll_offset.y
        self.show(keys, line)
        if follows:
            self.cursor = max(0, len(keys) - 1)
            self._keep_in_sight()  # also where it stays at its number
        elif gone:
            self.scroll_to(y=max(0, top - gone), animate=False, force=True)
        self._follows = follows  # whatever the cursor went through

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """By wheel or scrollbar: up ends following, down to the bottom begins it again."""
        super().watch_scroll_y(old_value, new_value)
        at_end = self.cursor >= len(self._keys) - 1 and round(new_value) >= self.max_scroll_y
        self._follows = at_end or (self._follows and new_value >= old_value)

    def render_line(self, y: int) -> Strip:
        """The head, or the row that stands at this line."""
        width = self.scrollable_content_region.width
        sizes = self._widths(width - 2)
        index, line = self._drawn[y] = self._at(y)
        if line is None:
            return self._why_none(y, width)
        if y == 0:
            return self._head(line, sizes, width)
        if index != self.cursor and line.key.endswith(BENEATH):
            return self._beneath(line, width)
        return self._row(line, sizes, width, at_cursor=index == self.cursor)

    def _why_none(self, y: int, width: int) -> Strip:
        """A line below the last row: blank, or if there is none what is said of that."""
        said = "" if self._keys else folded(self.none, y - 1, width)
        return Strip([Segment(said, self._style("off"))], width) if said else Strip.blank(width, self.rich_style)

    def _widths(self, room: int) -> list[int]:
        """Of the columns; for a screen of rows once."""
        if self._sizes[:2] != (self._longest, room):
            self._sizes = self._longest, room, widths(self._columns, self._longest, room)
        return self._sizes[2]

    def _labels(self) -> list[str]:
        return [in_zone(column.label) for column in self._columns]

    def _head(self, line: Line, sizes: Sequence[int], width: int) -> Strip:
        labels = list(line.cells)
        if self._sorted is not None:
            column, arrow = self._sorted
            labels[column] = labels[column][: max(0, sizes[column] - 1)] + arrow
        first, rest = row_text(self._columns, Line("", tuple(labels)), sizes, width - 2)
        return Strip([Segment(f"  {first}{rest}", self._style("head"))], width)

    def _beneath(self, line: Line, width: int) -> Strip:
        """What is said of the row above, over the whole width."""
        style = self.get_component_rich_style("table--beneath")
        return Strip([Segment(fit(f"{line.sign} {line.said}", width), style)], width)

    def _row(self, line: Line, sizes: Sequence[int], width: int, *, at_cursor: bool) -> Strip:
        """The sign and the first cell have its colour, the others only where it is dim, marked or under the cursor."""
        marked = line.key in self._marked
        kind = "cursor" if at_cursor else "marked" if marked else line.tone
        first, rest = row_text(self._columns, line, sizes, width - 2)
        sign = "*" if marked else line.sign
        style = self._style(kind)
        plain = style if kind in {"cursor", "marked", "off"} else self.rich_style
        if self.stale and not at_cursor and line.tone not in {"bad", "warn"}:
            style, plain = style + Style(dim=True), plain + Style(dim=True)
        return Strip([Segment(f"{sign} {first}", style), Segment(rest, plain)], width)

    def _style(self, kind: str) -> Style:
        name = f"table--{kind}"
        return self.get_component_rich_style(name) if name in self.COMPONENT_CLASSES else self.rich_style

    def watch_cursor(self, before: int, after: int) -> None:
        """Draws the two rows alone: all of them would take most of a key's time."""
        for at in (before, after):
            self.refresh(Region(0, at - self.scroll_offset.y + 1, self.size.width, 1))
        self._keep_in_sight()

    def _keep_in_sight(self) -> None:
        """Keeps the cursor on the screen. Forced: the scrollbar that allows it comes with the next layout."""
        top, rows = self.scroll_offset.y, max(1, self.size.height - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + rows:
            self.scroll_to(y=self.cursor - rows + 1, animate=False, force=True)
        self._tell()

    def _tell(self) -> None:
        if self.selected != self._told:
            self._told = self.selected
            self.post_message(messages.CursorMoved(self, self.selected))

    def go_to(self, at: int) -> None:
        """Puts the cursor on a row by its place."""
        self.action_move(at - self.cursor)

    def action_move(self, by: int) -> None:
        """Moves the cursor by rows; one that stays still comes back to the screen."""
        self._moved = True
        self.cursor = self._row_at(max(0, min(self.cursor + by, len(self._keys) - 1)), -1 if by < 0 else 1)
        self._keep_in_sight()
        self._follows = self.cursor >= len(self._keys) - 1

    def _row_at(self, at: int, step: int = -1) -> int:
        """The place of a row that the cursor can stand on: this one, or the next in a direction, if there is one."""
        if at < len(self._keys) and self._keys[at].endswith(BENEATH):
            return at + step if at + step < len(self._keys) else at - 1
        return at

    def action_page(self, by: float) -> None:
        self.action_move(round(by * max(2, self.size.height - 2)))

    def action_end(self, by: int) -> None:
        """Moves the cursor to the first or the last row."""
        self.action_move(by * len(self._keys))

    def action_open(self) -> None:
        if self.selected is not None:
            self.post_message(messages.RowOpened(self, self.selected))

    def on_click(self, event: events.Click) -> None:
        """Selects the row; a second click opens it."""
        x, y = event.get_content_offset_capture(self)  # it has a border while it is whole
        if y <= 0:
            self._head_clicked(x)
        elif (at := self.scroll_offset.y + y - 1) < len(self._keys):
            self.cursor = self._row_at(at)
            self.action_move(0)
            if event.chain == 2:
                self.action_open()

    def _head_clicked(self, x: int) -> None:
        left = 2
        for column, size in enumerate(self._widths(self.scrollable_content_region.width - 2)):
            if size and left <= x < left + size:
                self.post_message(messages.HeadClicked(self, column))
            left += size + GAP if size else 0

    def on_resize(self) -> None:
        """A smaller screen must not hide the cursor."""
        self._keep_in_sight()
