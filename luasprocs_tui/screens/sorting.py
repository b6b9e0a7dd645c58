"""Lists that are sorted by a column: a menu that says by which, a key that turns it round, and what is remembered of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on

from luasprocs_tui import messages
from luasprocs_tui.remembered import Sort
from luasprocs_tui.screens.base import BaseScreen
from luasprocs_tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs_tui.values.columns import Column


class Sorted(BaseScreen):
    """Has a `Table` of these columns; `UNSORTED` says how it stands by itself."""

    COLUMNS: ClassVar[Sequence[Column]] = ()
    UNSORTED: ClassVar[str]

    @property
    def sort(self) -> tuple[int | None, bool]:
        """The column, None for none, and whether the greatest comes first."""
        found = self.shell.remembered.sorts.get(self.PLACE)
        labels = [column.label for column in self.COLUMNS]
        return (labels.index(found.column), found.descending) if found and found.column in labels else (None, False)

    def show_sorted(self) -> None:
        """Shows the rows in their order."""
        raise NotImplementedError

    def sort_by(self, column: int | None, *, descending: bool | None = None) -> None:
        """`descending`: None for what is natural in that column."""
        sort = None
        if column is not None:
            one = self.COLUMNS[column]
            sort = Sort(one.label, one.right and one.label != "IN" if descending is None else descending)
        self.shell.remember(self.shell.remembered.sorted_by(self.PLACE, sort))
        self.show_sorted()
        self.query_one(Table).action_end(-1)  # what one sorts for

    def action_sort(self, label: str = "") -> None:
        """Asks by which column; sorts by the one that was typed."""
        labels = [column.label for column in self.COLUMNS]
        if label:
            found = [at for at, one in enumerate(labels) if one.casefold().startswith(label.casefold())]
            if found:
                self.sort_by(found[0])
            else:
                self.shell.toast(f"there is no column {label}: there are {', '.join(labels)}", bad=True)
            return
        from luasprocs_tui.widgets.dialog import Choose  # noqa: PLC0415  # after the first paint

        column, descending = self.sort
        arrows = {column: " ↓" if descending else " ↑"} if column is not None else {}
        options = [("", self.UNSORTED), *((str(at), f"{one}{arrows.get(at, '')}") for at, one in enumerate(labels))]

        def chosen(found: str | None) -> None:
            if found is not None:
                self.sort_by(int(found) if found else None)

        self.app.push_screen(Choose("Sort by", options, 0 if column is None else column + 1), chosen)

    def action_reverse(self) -> None:
        column, descending = self.sort
        if column is not None:
            self.sort_by(column, descending=not descending)

    @on(messages.HeadClicked)
    def _head_clicked(self, event: messages.HeadClicked) -> None:
        column, descending = self.sort
        self.sort_by(event.column, descending=not descending if column == event.column else None)
