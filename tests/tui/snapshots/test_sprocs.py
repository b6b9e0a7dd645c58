from __future__ import annotations

from typing import Any

import pytest

from luasprocs.operations.contexts import Context
from luasprocs_tui.settings import ScreenSettings
from tests.tui.snapshots.frozen import app, opened, shown


@shown
def test_the_list(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(made, terminal_size=size, run_before=opened())


@shown
def test_a_tree_with_marks_in_production(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    context = Context("shop", "redis://redis.example.com:6379/0", production=True)
    made, size = app(monkeypatch, shown, context=context)
    assert snap_compare(made, terminal_size=size, run_before=opened(press=("T", "G", "k", "space", "space")))


@shown
def test_a_filter(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(
        made, terminal_size=size, run_before=opened(press=("slash", *"bill", "enter", "o", "j", "enter"))
    )


@pytest.mark.parametrize("theme", ["light", "contrast"])
def test_a_theme(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    made, size = app(monkeypatch, "80x24", settings=ScreenSettings(theme=theme))
    assert snap_compare(made, terminal_size=size, run_before=opened())


@shown
def test_the_help(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(made, terminal_size=size, run_before=opened(press=("question_mark",)))
