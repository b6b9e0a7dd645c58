from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs_tui.controller.previews import checks
from luasprocs_tui.widgets.dialog import Ask, Choose, Confirm, Show
from luasprocs_tui.widgets.form import Form
from tests.tui.snapshots.frozen import app, opened, shown

if TYPE_CHECKING:
    import pytest

VALUES = {"event": "set", "key": "order:*", "description": "Charge a card", "x_team": "billing"}
DIFF = "--- live/sc1.lua\n+++ generation 6/sc1.lua\n@@ -1 +1 @@\n-return 'HELLO'\n+return 'hello'"


@shown
def test_a_form(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    form = lambda: Form("Header of charge.lua", VALUES, (*METADATA_KEYS, "x_team"), checks(), lambda *_: None)  # noqa: E731
    assert snap_compare(made, terminal_size=size, run_before=opened(form, press=("2", "tab", "x")))


@shown
def test_a_question(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    question = lambda: Confirm("Roll back to generation 6?", DIFF, "Roll back")  # noqa: E731
    assert snap_compare(made, terminal_size=size, run_before=opened(question))


@shown
def test_a_question_in_production(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    question = lambda: Confirm("Roll back to generation 6?", DIFF, "Roll back", "shop")  # noqa: E731
    assert snap_compare(made, terminal_size=size, run_before=opened(question, press=("s", "h")))


@shown
def test_what_to_run(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    ask = lambda: Ask("Run sc1.lua", ("KEYS, as a shell takes words", "ARGV"), "Run", ("greeting",))  # noqa: E731
    assert snap_compare(made, terminal_size=size, run_before=opened(ask))


@shown
def test_a_choice(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    choose = lambda: Choose("Your draft", (("keep", "Keep it"), ("drop", "Drop it")))  # noqa: E731
    assert snap_compare(made, terminal_size=size, run_before=opened(choose))


@shown
def test_a_reply(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(made, terminal_size=size, run_before=opened(lambda: Show("sc1.lua replied", "hello world")))
