"""A debugged sproc does what it does undebugged: same reply, same error, same keys. It is stepped through as Lua runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import redis
from lupa import lua51

from luasprocs.language.shebang import compilable
from luasprocs.server.readable_errors import readable_error
from sync.debugger.backend.breakpoints import Breakpoint, Breakpoints
from sync.debugger.backend.session import Ended, Stop
from sync.debugger.configuration import Configuration
from sync.debugger.launch import Launched
from tests.gitrepo import GitRepo
from tests.live import make_live

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[2] / "sprocs"
STEPS_LIMIT = 150
KEYS, ARGS = ("k1", "k2"), ("a", "41")
PROBE = """
local ok, reply = pcall(sproc.call, ARGV[1], { KEYS[1], KEYS[2], KEYS[3] }, { unpack(ARGV, 2) })
local keys = {}
for _, key in ipairs({ 'k1', 'k2', 'k3', 'h', 'changed' }) do
  keys[#keys + 1] = { key, redis.call('DUMP', key) or 'none', redis.call('TTL', key) < 0 }
end
return { tostring(ok), ok and reply or 'raised', keys }
"""
CALLS = {
    "cache/fill.lua": (KEYS, ("token", "1000", "value")),
    "cache/get_or_lease.lua": (KEYS, ("1000", "token")),
    "idempotency/claim.lua": (("k1",), ("1000", "token")),
    "inventory/reserve.lua": (("k1", "k2", "k3"), ("1", "1000", "apple", "2")),
    "leaderboard/page.lua": (("k1",), ("0", "10")),
    "leaderboard/submit.lua": (("k1",), ("ann", "5")),
    "lock/acquire.lua": (("k1",), ("token", "1000")),
    "sc1.lua": ((), ()),
    "sc2.lua": (("k1",), ("something", "set", "string")),
}
"""Examples that keep no time in their keys, with what they take; right or wrong makes no difference here."""
HOOKED = b"""
local source = ...
local run = loadstring('local KEYS, ARGV = ...; return function(...) \\n' .. source .. '\\nend', '@s')
run = run({ 'k1', 'k2' }, { 'a', '41' })
local lines = {}
debug.sethook(function(_, line)
  if debug.getinfo(2, 'S').source == '@s' then lines[#lines + 1] = line - 1 end
end, 'l')
pcall(run)
debug.sethook()
return table.concat(lines, ' ')
"""


class Case(NamedTuple):
    name: str
    source: bytes
    keys: Sequence[str] = KEYS
    args: Sequence[str] = ARGS


def cases() -> Iterator[Case]:
    """Those of corpus.txt, a head `--- NAME` before each, with line ends and marks as it says; then the examples."""
    parts = re.split(r"^--- (\S+)\n", (HERE / "corpus.txt").read_text("utf-8"), flags=re.MULTILINE)[1:]
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        yield Case(f"{name}.lua", text.rstrip("\n").encode() + b"\n")
    for end, word in ((b"\r\n", "crlf"), (b"\r", "cr"), (b"\n\r", "lfcr")):
        yield Case(
            f"{word}.lua",
            b"local a = 1\nlocal s = [[x\ny]]\nif a < 2 then\n  a = 3\nend\nreturn s .. a\n".replace(b"\n", end),
        )
    yield Case("empty.lua", b"")
    yield Case("no_end.lua", b"redis.call('SET', KEYS[1], 1) local a = 1 -- x")
    yield Case("locals.lua", b"".join(b"local v%d = %d\n" % (n, n) for n in range(195)) + b"return v0 + v194\n")
    many = b"".join(b"local v%d = %d\n" % (n, n) for n in range(59))
    adds = b"".join(b"s = s + v%d\n" % n for n in range(59))
    yield Case("upvalues.lua", many + b"local function f()\nlocal s = 0\n" + adds + b"return s\nend\nreturn f()\n")
    yield Case(
        "long_line.lua",
        b"local t, a = {" + b"'x'," * 6000 + b"}, 1; " + b"a = a + 1; " * 2000 + b"\nreturn { #t, a }\n",
    )


CASES = [*cases(), *(Case(name, (EXAMPLES / name).read_bytes(), *given) for name, given in CALLS.items())]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    repo = GitRepo(tmp_path_factory.mktemp("corpus"))
    repo.write("luasprocs.toml", "")
    for file in EXAMPLES.glob("lib/*.lua"):
        repo.write(f"sprocs/lib/{file.name}", file.read_bytes())
    for name, source in (*((one.name, one.source) for one in CASES), ("probe.lua", PROBE.encode())):
        repo.write(f"sprocs/{name}", source)
    return repo.path / "sprocs"


def undebugged(client: redis.Redis, name: str, keys: Sequence[str], args: Sequence[str]) -> tuple[str, str]:
    try:
        reply = client.execute_command("FCALL", "luasprocs_execute", len(keys), *keys, name, *args)
        found = "reply", json.dumps(as_text(reply), ensure_ascii=False, default=str)
    except redis.ResponseError as error:
        found = "error", readable_error(str(error)).removeprefix("ERR ")
    client.delete("k1", "k2", "k3", "h", "changed", "sc1", "sc2")
    return found


def as_text(reply: Any) -> Any:
    return (
        [*map(as_text, reply)]
        if isinstance(reply, list)
        else reply.decode("utf-8", "surrogateescape")
        if isinstance(reply, bytes)
        else reply
    )


def debugged(launch: Mapping[str, Any], stops: Sequence[str], how: str) -> tuple[tuple[str, str], list[int]]:
    """How it ended, and the lines of the innermost function where it stopped before an error. At each stop all is looked at."""
    launched = Launched(Configuration.parse(launch))
    breakpoints = Breakpoints()
    for name in stops:
        lines = sorted(launched.program.code(name).lines)[:60]
        breakpoints.replace(name, [Breakpoint(one) for one in lines], launched.program)
    session = launched.session(breakpoints, lambda *_: None, lambda _: None)
    lines = []
    try:
        found: Stop | Ended = session.start(stop_on_entry=how == "in")
        while isinstance(found, Stop):
            frames = session.frames()
            lines += [frames[0].place.line] if found.reason != "exception" else []
            for frame in range(min(len(frames), 2)):
                for look in (session.variables, session.upvalues, session.arguments):
                    look(frame)
            session.evaluate("KEYS[1]", 0)
            if len(lines) == STEPS_LIMIT:
                how, breakpoints.on_error = "continue", False
                for name in stops:
                    breakpoints.replace(name, [], launched.program)
            found = session.resume(how)
    finally:
        launched.close()
    return (("error", found.error) if found.error else ("reply", found.reply)), lines


@pytest.mark.long
@pytest.mark.timeout(900)
def test_debugged_is_as_undebugged(server, corpus):
    client = server.client(protocol=2)
    make_live(client, corpus)
    for case in CASES:
        launch = {"program": str(corpus / case.name), "keys": [*case.keys], "args": [*case.args], "redis": server.url}
        found, lines = debugged(launch, (), "in")
        assert found == undebugged(client, case.name, case.keys, case.args), case.name
        if not re.search(rb"redis|sproc\.|require|coroutine|--!", case.source):
            hooked = lua51.LuaRuntime(encoding=None).execute(HOOKED, compilable(case.source)).decode().split()
            ran = [line for line in map(int, hooked) if line <= last_line(case.source)][:STEPS_LIMIT]
            assert lines == ran, case.name
        probed = (case.name, *case.args)
        launch = {**launch, "program": str(corpus / "probe.lua"), "args": [*probed]}
        found, _ = debugged(launch, (case.name,), "continue")
        assert found == undebugged(client, "probe.lua", case.keys, probed), case.name


def last_line(source: bytes) -> int:
    return len(re.findall(rb"\r\n?|\n\r?", source)) + (not source.endswith((b"\n", b"\r")))
