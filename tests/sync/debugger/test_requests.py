"""Requests with fields that are missing, wrong, or of something that isn't there."""

from __future__ import annotations

import pytest

from tests.sync.debugger.client import Client, Refused
from tests.sync.debugger.conftest import FAILS

pytestmark = pytest.mark.wording


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    (folder / "fails.lua").write_text(FAILS)
    with Client(folder) as client:
        client.launch(folder / "fails.lua", stopOnEntry=True)
        assert client.stopped() == "entry fails.lua:6"
        yield client, folder / "fails.lua"


@pytest.mark.parametrize(
    ("command", "arguments", "why"),
    [
        ("configurationDone", {}, "the session has begun"),
        ("launch", {"program": "fails.lua"}, "one sproc"),
        ("setBreakpoints", {}, "setBreakpoints: source.path is missing"),
        ("setBreakpoints", {"source": "x"}, "source is no object"),
        ("setBreakpoints", {"source": {"path": "\ud800"}}, "source.path has half of a character"),
        ("setBreakpoints", {"source": {"path": 7}}, "source.path is no text"),
        ("setBreakpoints", {"source": {"path": "x"}, "breakpoints": [{}]}, "line is missing"),
        ("setBreakpoints", {"source": {"path": "x"}, "breakpoints": [5]}, "breakpoints is no list of objects"),
        ("setBreakpoints", {"source": {"path": "x"}, "breakpoints": [{"line": 1, "condition": 5}]}, "condition"),
        ("setExceptionBreakpoints", {}, "filters is missing"),
        ("setExceptionBreakpoints", {"filters": ["all"]}, "there is no filter 'all'"),
        ("breakpointLocations", {"source": {"path": "x"}}, "line is missing"),
        ("scopes", {}, "frameId is missing"),
        ("scopes", {"frameId": 77}, "there is no frame 77"),
        ("scopes", {"frameId": -1}, "frameId is no whole number"),
        ("evaluate", {"expression": "1", "frameId": 0}, "there is no frame 0"),
        ("evaluate", {"expression": None}, "expression is missing"),
        ("evaluate", {"expression": "\ud800"}, "expression has half of a character"),
        ("variables", {"variablesReference": 999}, "earlier stop"),
        ("variables", {"variablesReference": "x"}, "variablesReference is no whole number"),
        ("next", {"threadId": 99}, "there is no thread 99"),
        ("stackTrace", {"threadId": "1"}, "there is no thread '1'"),
    ],
)
def test_it_says_what_is_wrong(standing, command, arguments, why):
    client, _ = standing
    with pytest.raises(Refused, match=why):
        client.ask(command, **arguments)
    assert client.where() == ["fails.lua:6"]


def test_breakpoints_may_come_as_lines_alone(standing):
    client, file = standing
    found = client.ask("setBreakpoints", source={"path": str(file)}, lines=[7, 99])["breakpoints"]
    assert [(one["line"], one["verified"]) for one in found] == [(7, True), (99, False)]


def test_only_a_variable_that_is_there_is_set_and_to_one_value(standing):
    client, _ = standing
    (shown,) = (one for one in client.ask("scopes", frameId=1)["scopes"] if one["name"] == "Arguments")
    for name, value, why in (("none", "1", "no variable none"), ("KEYS", "1, 2", r"'\)' expected near ','")):
        with pytest.raises(Refused, match=why):
            client.ask("setVariable", variablesReference=shown["variablesReference"], name=name, value=value)
