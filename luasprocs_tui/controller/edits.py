"""Edits a sproc live: its header in a form, its source in an editor; and what to do if another was faster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs.errors import LuasprocsError
from luasprocs.language.header import values_of
from luasprocs.operations.editor import in_editor
from luasprocs_tui.controller.previews import checks, preview
from luasprocs_tui.controller.runner import Question, Runner
from luasprocs_tui.values.differences import header_conflict, header_diff, source_conflict, source_diff
from luasprocs_tui.widgets.dialog import Confirm
from luasprocs_tui.widgets.form import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luasprocs.language.sproc import Sproc
    from luasprocs_tui.backend.protocol import Backend


class Edits:
    """Of the sprocs of one registry."""

    def __init__(self, runner: Runner, backend: Backend) -> None:
        self._runner, self._app, self._backend = runner, runner.app, backend
        self._drafts: dict[str, bytes] = {}
        """Sources that could not be applied: the editor opens what was written, not what is live."""

    def header(self, name: str) -> None:
        self._runner.change(lambda: self._backend.sproc(name), self._header)

    def _header(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self._app.toast("it was deleted meanwhile", bad=True)
            return
        values = values_of(sproc.source, sproc.name)
        own = [key for key in values if key not in METADATA_KEYS]

        def given(changes: dict[str, str | None] | None) -> None:
            if changes:
                question = Question(f"Edit {sproc.name} live?", header_diff(sproc, changes), "Apply", sproc.name)
                self._runner.sure_in_production(question, partial(self._edit_header, sproc, changes, sproc))

        form = Form(f"Header of {sproc.name}", values, (*METADATA_KEYS, *own), checks(), self._preview)
        self._app.push_screen(form, given)

    def _preview(self, key: str, values: Mapping[str, str], then: Callable[[str], object]) -> None:
        self._runner.aside(lambda: preview(key, values, self._backend), then)

    def _edit_header(self, opened: Sproc, changes: Mapping[str, str | None], base: Sproc) -> None:
        def conflict(current: Sproc) -> None:
            again = partial(self._edit_header, opened, changes, current)
            self._ask(base.name, header_conflict(opened, changes, current), again)

        self._apply(base.name, lambda: self._backend.edit_header(base, changes), conflict)

    def source(self, name: str) -> None:
        self._runner.change(lambda: self._backend.sproc(name), self._source)

    def _source(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self._app.toast("it was deleted meanwhile", bad=True)
            return
        problem = ""
        with self._app.suspend():  # which would leave the terminal as it is, were anything raised here
            try:
                source = in_editor(sproc.name, self._drafts.pop(sproc.name, sproc.source))
            except LuasprocsError as error:
                problem = str(error)
        if problem:
            self._app.toast(problem, bad=True)
            return
        if source != sproc.source:
            self._drafts[sproc.name] = source
        diff = source_diff(sproc.source, source, sproc.name)
        self._runner.sure_in_production(
            Question(f"Edit {sproc.name} live?", diff, "Apply", sproc.name), partial(self._edit_source, sproc, source)
        )

    def _edit_source(self, base: Sproc, source: bytes) -> None:
        def conflict(current: Sproc) -> None:
            self._ask(base.name, source_conflict(source, current), partial(self._edit_source, current, source))

        if source == base.source:
            self._done("nothing was changed")
        else:
            self._apply(base.name, lambda: self._backend.edit_source(base, source), conflict)

    def _apply(self, name: str, edit: Callable[[], Sproc | None], conflict: Callable[[Sproc], object]) -> None:
        """`edit` gives the sproc as it is now, if another has changed it meanwhile: both are shown then, and it is asked."""

        def done(current: Sproc | None) -> None:
            if current is None:
                self._done(f"{name} is edited live")
            else:
                conflict(current)

        self._runner.change(edit, done)

    def _ask(self, name: str, text: str, again: Callable[[], object]) -> None:
        self._runner.confirm(Confirm(f"{name} has changed since you opened it", text, "Apply yours"), again)

    def _done(self, said: str) -> None:
        self._drafts.clear()
        self._app.toast(said)
