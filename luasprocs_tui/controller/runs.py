"""Runs a sproc: what is asked for before, and the reply."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Trigger
from luasprocs.errors import ServerRightsError, SettingsError
from luasprocs.operations.run import Enqueued, Ran
from luasprocs_tui.controller.runner import Question, Runner
from luasprocs_tui.values.replies import pretty
from luasprocs_tui.values.reruns import ValueNow, rerun
from luasprocs_tui.widgets.dialog import Ask, Show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.state.executions import Execution
    from luasprocs_tui.backend.protocol import Backend


class Runs:
    """Of the sprocs of one registry."""

    def __init__(self, runner: Runner, backend: Backend) -> None:
        self._runner, self._app, self._backend = runner, runner.app, backend

    def ask(self, name: str) -> None:
        """Asks for keys and arguments, and runs it."""
        self._ask(name, ("", ""))

    def again(self, record: Execution) -> None:
        """The same with what the run of a record had, as far as that is known."""

        def found(value: ValueNow | None) -> None:
            what = rerun(record, value)
            self._ask(record.sproc, (what.keys, what.args), what.note)

        if record.trigger == Trigger.EVENT:
            self._runner.read(partial(self._value_now, record.key), found)
        else:
            found(None)

    def _value_now(self, key: str) -> ValueNow:
        try:
            return self._backend.value_now(key)
        except ServerRightsError:
            return ValueNow(None, "which this user may not read")

    def _ask(self, name: str, words: Sequence[str], note: str = "") -> None:
        def given(typed: tuple[str, ...] | None) -> None:
            if typed is None:
                return
            try:
                keys, args = map(shlex.split, typed)
            except ValueError as error:
                self._app.toast(f"can't split the arguments: {error}", bad=True)
                self._ask(name, typed, note)
                return
            self._run(name, keys, args)

        labels = ("KEYS, as a shell takes words", "ARGV")
        self._app.push_screen(Ask(f"Run {name}", labels, "Run", words, note), given)

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

        text = f"KEYS: {shlex.join(keys) or 'none'}\nARGV: {shlex.join(args) or 'none'}"
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
