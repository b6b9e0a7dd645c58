"""Edits a sproc live: its header in a form, its source in an editor; and what to do if another was faster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs.errors import LuasprocsError
from luasprocs.language.header import values_of
from luasprocs.operations.diff import unified
from luasprocs.operations.editor import in_editor
from luasprocs.operations.header_drafts import HeaderDrafts
from luasprocs_tui.controller.previews import checks, preview
from luasprocs_tui.controller.runner import Question, Runner
from luasprocs_tui.values.differences import header_conflict, header_diff, source_conflict, source_diff
from luasprocs_tui.widgets.dialog import Choose, Confirm
from luasprocs_tui.widgets.form import Form, Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luasprocs.language.sproc import Sproc
    from luasprocs.operations.drafts import Draft, Drafts
    from luasprocs.operations.edit import LastChange
    from luasprocs.operations.header_drafts import HeaderDraft
    from luasprocs_tui.backend.protocol import Backend


KEPT = "what you wrote is kept as a draft, which E opens again"
NO_TERMINAL = "$EDITOR needs a terminal: type `luasprocs edit {name}` in one, or change the header here (e)"
DELETED = "it was deleted meanwhile"
NO_DRAFT = "there is no draft: E writes one"
TYPED_KEPT = "what you typed is kept as a draft, which e opens again"


class Edits:
    """Of the sprocs of one registry."""

    def __init__(self, runner: Runner, backend: Backend, drafts: Drafts) -> None:
        self._runner, self._app, self._backend, self._drafts = runner, runner.app, backend, drafts
        self._headers = HeaderDrafts(drafts)

    def header(self, name: str) -> None:
        self._runner.change(lambda: self._backend.sproc(name), self._header)

    def _header(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self._app.toast(DELETED, bad=True)
            return
        values = values_of(sproc.source, sproc.name)
        old = self._typed_before(sproc, values)
        typed = old.changes if old else {}
        own = [key for key in {**values, **typed} if key not in METADATA_KEYS]
        opened = sproc._replace(blob=old.base, source=old.source) if old else sproc

        def given(changes: dict[str, str | None] | None) -> None:
            if changes:
                question = Question(f"Edit {sproc.name} live?", header_diff(sproc, changes), "Apply", sproc.name)
                self._runner.sure_in_production(question, partial(self._edit_header, opened, changes, opened))
            elif self._headers.of(sproc.name):
                self._app.toast(TYPED_KEPT)

        kept = Kept(typed, lambda changes: self._keep_typed(opened, changes))
        form = Form(f"Header of {sproc.name}", values, (*METADATA_KEYS, *own), checks(), self._preview, kept)
        self._app.push_screen(form, given)

    def _typed_before(self, sproc: Sproc, values: Mapping[str, str]) -> HeaderDraft | None:
        """The draft of a header, unless what is live says the same."""
        old = self._headers.of(sproc.name)
        if old and all(values.get(key) == value for key, value in old.changes.items()):
            self._headers.drop(sproc.name)
            return None
        return old

    def _keep_typed(self, opened: Sproc, changes: Mapping[str, str | None]) -> str:
        try:
            self._headers.keep(opened, changes)
        except LuasprocsError as error:
            return str(error)
        return ""

    def _preview(self, key: str, values: Mapping[str, str], then: Callable[[str], object]) -> None:
        self._runner.aside(lambda: preview(key, values, self._backend), then)

    def _edit_header(self, opened: Sproc, changes: Mapping[str, str | None], base: Sproc) -> None:
        def conflict(current: Sproc) -> None:
            again = partial(self._edit_header, opened, changes, current)
            self._ask(base.name, header_conflict(opened, changes, current), again)

        def applied() -> None:
            self._headers.drop(base.name)

        self._apply(base.name, lambda: self._backend.edit_header(base, changes), conflict, applied)

    def source(self, name: str) -> None:
        """Opens the draft of a source in the editor, or what is live; what is written then replaces what it was opened on."""
        self._runner.change(lambda: self._backend.sproc(name), self._source)

    def _source(self, sproc: Sproc | None) -> None:
        if sproc is None or (written := self._write(sproc)) is None:
            return
        draft, before = written
        source = draft.source
        if source == before:
            self._unchanged(sproc, draft)
        else:
            self._sure(sproc._replace(blob=draft.base), source, sproc)

    def drafted(self, name: str) -> bytes | None:
        """What is written of a source and not live."""
        draft = self._drafts.of(name)
        return draft.source if draft else None

    def draft(self, name: str, then: Callable[[], object]) -> None:
        """Opens the draft of a source, or what is live, in the editor, and goes on: nothing is applied."""

        def opened(sproc: Sproc | None) -> None:
            if self._write(sproc) is not None:
                then()

        self._runner.change(lambda: self._backend.sproc(name), opened)

    def apply_draft(self, name: str) -> None:
        """Makes the draft of a source live, if there is one."""

        def opened(sproc: Sproc | None) -> None:
            draft = self._drafts.of(name)
            if sproc is None:
                self._app.toast(DELETED, bad=True)
            elif draft is None:
                self._app.toast(NO_DRAFT, bad=True)
            else:
                self._sure(sproc._replace(blob=draft.base), draft.source, sproc)

        self._runner.change(lambda: self._backend.sproc(name), opened)

    def _write(self, sproc: Sproc | None) -> tuple[Draft, bytes] | None:
        """The draft, once the editor is closed, and the text that it was opened with; None if there is none then."""
        if sproc is None:
            self._app.toast(DELETED, bad=True)
            return None
        problem = ""
        try:
            with self._app.suspend():  # which would leave the terminal as it is, were anything raised here
                try:
                    old = self._drafts.of(sproc.name)
                    draft = old or self._drafts.begin(sproc.name, sproc.blob, sproc.source)
                    before = draft.source
                    try:
                        in_editor(draft.path)
                    finally:
                        source = draft.source
                except (LuasprocsError, OSError) as error:
                    problem = str(error)
        except SuspendNotSupported:
            self._app.toast(NO_TERMINAL.format(name=sproc.name), bad=True)
            return None
        if problem:
            self._failed(sproc, problem)
            return None
        if source == sproc.source:
            self._drafts.drop(sproc.name)
            self._app.toast("nothing was changed")
            return None
        return draft, before

    def _failed(self, sproc: Sproc, problem: str) -> None:
        draft = self._drafts.of(sproc.name)
        if draft is not None and draft.base == sproc.blob and draft.source == sproc.source:
            self._drafts.drop(sproc.name)  # nobody has written anything
            draft = None
        self._app.toast(f"{problem}; {KEPT}" if draft else problem, bad=True)

    def _unchanged(self, sproc: Sproc, draft: Draft) -> None:
        """An unchanged draft is no edit, and nothing is done with it by itself."""

        def chosen(what: str | None) -> None:  # as Textual calls it
            if what == "drop":
                self._drafts.drop(sproc.name)
                self._app.toast(f"the draft of {sproc.name} is dropped")
            elif what == "apply":
                self._sure(sproc._replace(blob=draft.base), draft.source, sproc)
            else:
                self._app.toast(f"nothing was changed; {KEPT}")

        options = (("keep", "Keep it for later"), ("apply", "Apply it as it is"), ("drop", "Drop it"))
        self._app.push_screen(Choose(f"Your draft of {sproc.name} is as it was", options), chosen)

    def _sure(self, base: Sproc, source: bytes, live: Sproc) -> None:
        """Applies a source in place of `base` alone, in production after a question."""
        diff = source_diff(live.source, source, live.name)
        question = Question(f"Edit {live.name} live?", diff, "Apply", live.name)
        self._runner.sure_in_production(question, partial(self._edit_source, base, source))

    def _edit_source(self, base: Sproc, source: bytes) -> None:
        def conflict(current: Sproc) -> None:
            self._ask(base.name, source_conflict(source, current), partial(self._edit_source, current, source))

        def applied() -> None:
            self._drafts.drop(base.name)

        self._apply(base.name, lambda: self._backend.edit_source(base, source), conflict, applied)

    def revert(self, found: LastChange) -> None:
        """Makes a source what it was before its last change, as a live edit, after showing it."""
        sproc, generation = found.sproc, found.generation
        who = generation.author or generation.applied_by
        text = "\n".join(
            (
                f"generation {generation.generation}, {generation.action}, by {who}: {generation.subject}",
                "Its revert is a live edit, which a daemon commits.",
                "",
                *unified(sproc.source, found.source, f"live/{sproc.name}", f"before/{sproc.name}"),
            )
        )
        question = Question(f"Revert the last change of {sproc.name}?", text, "Revert", sproc.name)
        self._runner.sure(question, partial(self._edit_source, sproc, found.source))

    def _apply(
        self,
        name: str,
        edit: Callable[[], Sproc | None],
        conflict: Callable[[Sproc], object],
        applied: Callable[[], object],
    ) -> None:
        """`edit` gives the sproc as it is now, if another has changed it meanwhile: both are shown then, and it is asked."""

        def done(current: Sproc | None) -> None:
            if current is None:
                applied()
                self._app.toast(f"{name} is edited live")
            else:
                conflict(current)

        self._runner.change(edit, done)

    def _ask(self, name: str, text: str, again: Callable[[], object]) -> None:
        self._runner.confirm(Confirm(f"{name} has changed since you opened it", text, "Apply yours"), again)
