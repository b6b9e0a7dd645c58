"""Sources with sites: they do the same, on lines that are known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lupa import lua51

from luasprocs.language.compiler import dumped
from sync.debugger.backend.sited import MARK_BYTES, SitedSource

ROOT = Path(__file__).parents[4]
SNIPPETS = [
    line.replace("⏎", "\n").encode()
    for line in (ROOT / "tests/engine/snippets.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
RUN = b"""
local source = ...
local select, tostring, type, pairs, ipairs, pcall = select, tostring, type, pairs, ipairs, pcall
local gsub, concat, sort = string.gsub, table.concat, table.sort
local KEYS, ARGV = { 'k1', 'k2' }, { 'a', '41' }
local head = 'local luasprocs_see = ...; return function(...) local KEYS, ARGV, redis = ...; '
local run, problem = loadstring(head .. source .. '\\nend', '=s')
if not run then return problem end
run = run(setmetatable({}, { __mode = 'k' }))
local redis = { call = function(...) return table.concat({ ... }, ' ') end, sha1hex = tostring }
redis.pcall = redis.call
local function shown(value, depth)
  local text = gsub(tostring(select(2, pcall(tostring, value))), '0x%x+', '')
  if type(value) ~= 'table' then return text end
  local parts = {}
  for key, one in pairs(value) do
    parts[#parts + 1] = gsub(tostring(key), '0x%x+', '') .. '=' .. (depth < 5 and shown(one, depth + 1) or '')
  end
  sort(parts)
  return '{' .. concat(parts, ',') .. '}'
end
local found = {}
for _, one in ipairs({ pcall(run, KEYS, ARGV, redis) }) do found[#found + 1] = shown(one, 0) end
return concat(found, '\\n')
"""


def outcome(source: bytes) -> bytes:
    return re.sub(rb"\bs:\d+:", b"", lua51.LuaRuntime(encoding=None).execute(RUN, source))


def test_every_snippet_does_the_same_with_sites():
    done = 0
    for source in SNIPPETS:
        sited = SitedSource(source, 1)
        if not dumped(source) or b"random" in source:
            continue
        if len(source) > MARK_BYTES:
            assert sited.text, source
            assert outcome(source) == outcome(f"{sited.head}{sited.text}".encode("latin-1")), source
        done += 1
    assert done > 900


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n\r"])
def test_each_line_is_known(end):
    source = end.join(
        [
            b"#!lua name=x",
            b"local a, b = { 'x;', [1] = function(c) return c end }, [==[",
            b"long]==] -- a comment",
            b"local function f(x, ...)",
            b"  for i = 1, 3 do local y = x end",
            b"  local z --[[ more",
            b"  ]] = 5",
            b"  return z",
            b"end;",
            b"function a.b:c(d)",
            b"  repeat local e = self until e",
            b"end",
            b"return f(a)",
        ]
    )
    sited = SitedSource(source, 7)
    lines = f"{sited.head}{sited.text}".encode("latin-1").replace(end, b"\n").split(b"\n")
    wanted = source.replace(b"#!", b"--").replace(end, b"\n").split(b"\n")
    for line, number in zip(lines, sited.lines, strict=True):
        assert number == 0 or line.strip() in wanted[number - 1] or b" luasprocs_" in line, line
    for number in range(1, len(wanted) + 1):
        assert sited.lines[sited.line(number) - 1] == number
    names = {number: site.names for number, site in sited.sites.items()}
    (inner,) = (one for one in sited.visible(sited.line(8)) if one)
    assert [name for site in sited.chain(inner[-1]) for name in site.names][:4] == ["z", "f", "x", "arg"]
    assert ["self", "d"] in [*names.values()]


def test_what_has_no_room_for_all_sites_has_some():
    many = b"".join(b"local v%d = %d\n" % (n, n) for n in range(150))
    sited = SitedSource(many + b"return function(a) return a end", 1)
    assert 1 < len(sited.sites) < 150
    full = b"".join(b"local v%d = %d\n" % (n, n) for n in range(200))
    assert (SitedSource(full + b"return 1", 1).head, SitedSource(full + b"return 1", 1).lines[:3]) == ("", [0, 1, 2])
    first = SitedSource(b"local a = 1\nreturn a", 1, every=False)
    assert (len(first.sites), first.text, first.lines, first.visible(first.line(2))) == (1, "", [0, 0, 1, 2], [[1]])


def test_nested_deep_nothing_breaks():
    assert dumped(deep := b"return " + b"(" * 190 + b"1" + b")" * 190)
    assert SitedSource(deep, 1).lines == [0, 0, 1]
    assert not SitedSource(b"local function", 1).text
