"""Whatever a client sends to the debug adapter, it answers requests, and ends when the input does."""

from __future__ import annotations

import contextlib
import json
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from luasprocs.errors import ServerError
from sync.debugger.adapter import Adapter
from sync.debugger.backend.values import parse, place_in
from sync.debugger.transport import Transport

NAMES = (
    *(
        "initialize",
        "launch",
        "setBreakpoints",
        "setExceptionBreakpoints",
        "configurationDone",
        "threads",
        "stackTrace",
    ),
    *(
        "scopes",
        "variables",
        "evaluate",
        "continue",
        "next",
        "pause",
        "terminate",
        "breakpointLocations",
        "setVariable",
        "x",
    ),
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "line", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(
        ["source", "breakpoints", "program", "keys", "filters", "frameId", "line", "expression", "linesStartAt1"]
    ),
    ANY,
    max_size=4,
)


def answered(data: bytes) -> tuple[list[dict[str, object]], list[str]]:
    written, said = BytesIO(), list[str]()
    Adapter(Transport(BytesIO(data), written, said.append)).run()
    bodies = [part.partition(b"\r\n\r\n")[2] for part in written.getvalue().split(b"Content-Length: ")[1:]]
    return [json.loads(body) for body in bodies], said


@given(st.lists(st.tuples(st.sampled_from(NAMES), ARGUMENTS | ANY), max_size=6))
def test_each_request_is_answered_once(requests):
    data = b""
    for number, (name, arguments) in enumerate(requests):
        body = json.dumps({"seq": number, "type": "request", "command": name, "arguments": arguments}).encode()
        data += b"Content-Length: %d\r\n\r\n" % len(body) + body
    messages, said = answered(data)
    numbers = [one["request_seq"] for one in messages if one["type"] == "response"]
    assert sorted(map(str, numbers)) == sorted(str(number) for number in range(len(requests)))
    assert not said


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from([b"Content-Length: ", b"5", b"\r\n", b"{}", b"-"])).map(b"".join)
)
def test_bytes_are_passed_over_and_said_once_at_most(data):
    _, said = answered(data)
    assert len(said) <= 1


@given(st.text(alphabet="{}+;ntfcmdso,1%a", max_size=40) | st.text(max_size=40))
def test_a_value_is_read_or_refused(text):
    with contextlib.suppress(ServerError):
        for found in parse(text):
            for name in found.fields or ():
                place_in(name)
