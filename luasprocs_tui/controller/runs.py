"""Runs a sproc: what is asked for before, and the reply."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from luasprocs.errors import SettingsError
from luasprocs.operations.run import Enqueued, Ran
from luasprocs_tui.controller.runner import Question, Runner
from luasprocs_tui.values.replies import pretty
from luasprocs_tui.widgets.dialog import Ask, Show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs_tui.backend.protocol import Backend


class Runs:
    """Of the sprocs of one registry."""

    def __init__(self, runner: Runner, backend: Backend) -> None:
        self._runner, self._app, self._backend = runner, runner.app, backend

    def ask(self, name: str, key: str = "") -> None:
        """Asks for keys and arguments, and runs it. `key`: stands there already."""
        self._ask(name, (shlex.quote(key) if key else "", ""))

    def _ask(self, name: str, words: Sequence[str]) -> None:
        def given(typed: tuple[str, ...] | None) -> None:
            if typed is None:
                return
            try:
                keys, args = map(shlex.split, typed)
            except ValueError as error:
                self._app.toast(f"can't split the arguments: {error}", bad=True)
                self._ask(name, typed)
                return
            self._run(name, keys, args)

        self._app.push_screen(Ask(f"Run {name}", ("KEYS, as a shell takes words", "ARGV"), "Run", words), given)

    def typed(self, text: str) -> None:
        """Runs what was typed behind the command."""
        try:
            name, keys, args = run_words(text)
        except SettingsError as error:
            self._app.toast(str(error), bad=True)
        else:
            self._run(name, keys, args)

    def _run(self, name: str, keys: Sequence[str], args: Sequence[str]) -> None:
        def done(found: Ran | Enqueued) -> None:
            reply = found.reply if isinstance(found, Ran) else found.job
            self._app.push_screen(Show(f"{name} replied", pretty(reply)))

        text = f"KEYS: {shlex.join(keys)}\nARGV: {shlex.join(args)}"
        self._runner.sure_in_production(
            Question(f"Run {name}?", text, "Run", name),
            partial(self._runner.change, lambda: self._backend.run(name, keys, args), done),
        )


def run_words(typed: str) -> tuple[str, list[str], list[str]]:
    """Name, keys and arguments of `NAME [--key K]… [ARG]…`, as the command line takes them.

    Raises:
        SettingsError: the words can't be told apart, or an option lacks its value.
    """
    try:
        words = shlex.split(typed)
    except ValueError as error:
        raise SettingsError(f"can't split the arguments: {error}") from error
    keys: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            rest += left
        elif word == "--key":
            key = next(left, None)
            if key is None:
                raise SettingsError("--key needs a value")
            keys.append(key)
        elif word.startswith("--key="):
            keys.append(word.removeprefix("--key="))
        else:
            rest.append(word)
    if not rest:
        raise SettingsError("which sproc? NAME [--key K]… [ARG]…")
    return rest[0], keys, rest[1:]
