"""How anything is changed: after a question if there must be one, one change at a time, in a thread, never again by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from luasprocs_tui.poller import Failure
from luasprocs_tui.widgets.dialog import Confirm

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.operations.contexts import Context
    from luasprocs_tui.base_app import BaseApp
    from luasprocs_tui.threads import Threads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before a change. `go`: the button; `typed`: the word that must be typed in production, "": none."""

    title: str
    text: str
    go: str
    typed: str


class Runner:
    """Changes to the registry of one context, and what is read for them."""

    def __init__(self, app: BaseApp, context: Context, threads: Threads) -> None:
        self.app, self.context = app, context
        self._threads = threads
        self._under_way = False

    def change(self, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """Does it in a thread, and goes on with what came of it, or says why nothing did."""
        if self.app.read_only:
            self.app.toast(self.app.why_read_only, bad=True)
            return
        if self._under_way:
            self.app.toast("the previous action is still running", bad=True)
            return

        def alone() -> T:
            try:
                return work()
            finally:
                self._under_way = False

        self._under_way = True
        self.read(alone, then)

    def read(self, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """The same of what changes nothing."""

        def done(found: T | Failure) -> None:
            try:
                if isinstance(found, Failure):
                    self.app.toast(found.reason, bad=True)
                else:
                    then(found)
            finally:
                self.app.release_keys(hold)
            self.app.refresh_now()

        hold = self.app.hold_keys()  # what is typed on is meant for what comes
        self._threads.do(work, done, "operations")

    def aside(self, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """Reads what nobody waits for; a failure says nothing."""
        self._threads.do(work, lambda found: None if isinstance(found, Failure) else then(found), "preview")

    def sure(self, question: Question, then: Callable[[], object]) -> None:
        """Asks; in production the word must be typed."""
        if self.app.read_only:
            self.app.toast(self.app.why_read_only, bad=True)
            return
        typed = question.typed if self.context.production else ""
        self.confirm(Confirm(question.title, question.text, question.go, typed), then)

    def sure_in_production(self, question: Question, then: Callable[[], object]) -> None:
        """Asks in production alone."""
        if self.context.production:
            self.sure(question, then)
        else:
            then()

    def confirm(self, dialog: Confirm, then: Callable[[], object]) -> None:
        """Goes on if somebody is sure."""

        def answered(sure: bool | None) -> None:  # as Textual calls it
            if sure:
                then()

        self.app.push_screen(dialog, answered)
