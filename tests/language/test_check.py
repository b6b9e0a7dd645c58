"""One check for all workspaces: what is wrong with sprocs among each other."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.language.analysis import analyse
from luasprocs.language.check import check
from luasprocs.language.workspace import Overlay

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Texts:
    """A workspace of texts, which remembers what was read. None: there is a file, but no reading of it."""

    def __init__(self, texts: Mapping[str, str | None], defaults: Mapping[str, str] | None = None) -> None:
        self.texts = texts
        self.defaults = defaults or {}
        self.asked: list[str] = []

    @property
    def names(self):
        return self.texts.keys()

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        wanted = [name for name in names if name in self.texts]
        self.asked += wanted
        return {name: text.encode() for name in wanted if (text := self.texts[name]) is not None}

    def path(self, name: str) -> str:
        return f"sprocs/{name}"


def told(texts: Mapping[str, str | None], names: Iterable[str] | None = None, **defaults: str) -> list[str]:
    problems = check(Texts(texts, defaults), names)
    return [f"{one.path}:{one.line}:{one.column}-{one.end_column} {one.code}" for one in problems]


LIBRARY = "-- library=yes\nreturn {}"
CALLER = """-- require('comment.lua')
local ok = require('lib/time.lua')
local s = "require('string.lua')"
local name = require(s)
local joined = require('a' .. '.lua')
local function f() return require [[lib/tim.lua]].now() end
return require 'plain.lua', f(name, joined)
"""


def test_require_of_what_is_no_library_is_found_and_nothing_else():
    texts = {"lib/time.lua": LIBRARY, "plain.lua": "return 1", "caller.lua": CALLER}
    assert told(texts) == [
        "sprocs/caller.lua:6:37-48 require.unknown",
        "sprocs/caller.lua:7:17-26 require.not-library",
    ]
    unknown, not_library = check(Texts(texts))
    assert "did you mean 'lib/time.lua'" in unknown.message
    assert "no library=yes" in not_library.message


def test_an_async_sproc_may_require_an_installed_library():
    source = "local s = require 'socket'\nreturn require 'gone.lua'"
    assert told({"a.lua": "-- runasync=yes\n" + source}) == ["sprocs/a.lua:3:17-25 require.unknown"]
    assert told({"a.lua": source}, runasync="yes") == ["sprocs/a.lua:2:17-25 require.unknown"]
    # Whether this one is async nobody can tell.
    assert told({"a.lua": "-- runasync=perhaps\n" + source}) == [
        "sprocs/a.lua:1:13-20 header.bad-value",
        "sprocs/a.lua:3:17-25 require.unknown",
    ]


def test_a_call_of_what_is_no_sproc_is_a_warning():
    texts = {"a.lua": "sproc.call('b.lua')\nsproc.enqueue('bb.lua', {}, {})\nsproc.call(ARGV[1])", "b.lua": ""}
    assert told(texts) == ["sprocs/a.lua:2:16-22 call.unknown"]
    (found,) = check(Texts(texts))
    assert found.kind == "warning"
    assert "did you mean 'b.lua'" in found.message


def test_names_that_are_one_file_elsewhere_clash():
    assert told({"a.lua": "", "A.lua": ""}) == ["sprocs/a.lua:1:1-1 name.clash"]
    assert told({"a.lua": "", "A.lua": ""}, ["A.lua"]) == []
    assert told({"a.lua": "", "A.lua": ""}, ["a.lua"]) == ["sprocs/a.lua:1:1-1 name.clash"]


def test_a_name_that_can_not_be_used_is_a_problem():
    assert told({"a.LUA": ""}) == ["sprocs/a.LUA:1:1-1 name.invalid"]


@pytest.mark.parametrize("library", ["-- evnt=set\n" + LIBRARY, "-- library=perhaps\nreturn {}", None])
def test_what_is_broken_is_told_of_itself_and_not_of_those_that_require_it(library):
    texts = {"l.lua": library, "a.lua": "return require 'l.lua'"}
    assert told(texts, ["a.lua"]) == []
    assert all(line.startswith("sprocs/l.lua:") for line in told(texts))


def test_a_library_whose_body_is_broken_is_one():
    texts = {"l.lua": "-- library=yes\nreturn {", "a.lua": "return require 'l.lua'"}
    assert told(texts) == ["sprocs/l.lua:2:9-9 lua.syntax"]


def test_defaults_count():
    assert told({"l.lua": "return {}", "a.lua": "-- library=no\nreturn require 'l.lua'"}, library="yes") == []
    assert told({"a.lua": "return io.open('x')"}, runasync="yes") == []


def circle(*order: str) -> dict[str, str]:
    return {
        name: f"-- library=yes\nreturn require '{needed}'"
        for name, needed in zip(order, (*order[1:], order[0]), strict=True)
    }


def test_libraries_in_a_circle_are_told_once():
    (problem,) = check(Texts({**circle("a.lua", "b.lua", "c.lua"), "d.lua": "return require 'a.lua'"}))
    assert (problem.path, problem.code, problem.line, problem.column) == ("sprocs/c.lua", "require.circle", 2, 17)
    assert problem.message.endswith("a.lua -> b.lua -> c.lua -> a.lua")
    assert told(circle("a.lua")) == ["sprocs/a.lua:2:17-22 require.circle"]


@pytest.mark.parametrize("name", ["a.lua", "b.lua", "c.lua"])
def test_a_circle_is_told_of_the_one_that_is_checked(name):
    (problem,) = check(Texts(circle("a.lua", "b.lua", "c.lua")), [name])
    assert problem.path == f"sprocs/{name}"
    assert problem.message.count(name) == 1
    assert problem.message.count(" -> ") == 3


def test_a_long_chain_of_libraries_is_followed():
    names = [f"{at:04}.lua" for at in range(3000)]
    (problem,) = check(Texts(circle(*names)))
    assert problem.path == "sprocs/2999.lua"


def test_of_others_only_what_is_required_is_read():
    texts = {
        "a.lua": "return require 'b.lua'",
        "b.lua": "-- library=yes\nreturn require 'c.lua'",
        "c.lua": LIBRARY,
        "d.lua": LIBRARY,
    }
    workspace = Texts(texts)
    assert check(workspace, ["a.lua"]) == []
    assert workspace.asked == ["a.lua", "b.lua", "c.lua"]


def test_an_analysis_may_be_remembered():
    asked = []

    @lru_cache
    def remembered(source: bytes, path: str):
        asked.append(path)
        return analyse(source, path)

    texts = {"a.lua": "return require 'b.lua'", "b.lua": LIBRARY}
    for _ in range(2):
        assert check(Texts(texts), analysed=lambda source, path, _: remembered(source, path)) == []
    texts["b.lua"] = "return {}"
    assert len(check(Texts(texts), analysed=lambda source, path, _: remembered(source, path))) == 1
    assert asked == ["sprocs/a.lua", "sprocs/b.lua", "sprocs/b.lua"]


def test_an_editors_buffers_lie_over_what_is_saved():
    saved = Texts({"a.lua": "return require 'l.lua'", "l.lua": "return {}", "gone.lua": "= broken"})
    assert len(check(saved)) == 2
    edited = Overlay(saved, {"l.lua": LIBRARY.encode(), "new.lua": b"return require 'gone.lua'", "gone.lua": None})
    assert set(edited.names) == {"a.lua", "l.lua", "new.lua"}
    assert [(one.path, one.code) for one in check(edited)] == [("sprocs/new.lua", "require.unknown")]


NAMES = [f"{letter}.lua" for letter in "abcde"]


GRAPHS = st.dictionaries(
    st.sampled_from(NAMES), st.tuples(st.booleans(), st.lists(st.sampled_from(NAMES), max_size=3)), min_size=1
)


def sources(graph: Mapping[str, tuple[bool, list[str]]]) -> dict[str, str]:
    return {
        name: f"-- library={'yes' if library else 'no'}\n" + "\n".join(f"require '{one}'" for one in needed)
        for name, (library, needed) in graph.items()
    }


@given(GRAPHS, st.sets(st.sampled_from(NAMES)))
def test_a_part_is_told_what_the_whole_is_told_of_it(graph, some):
    texts = sources(graph)
    whole, part = told(texts), told(texts, some & texts.keys())
    of_some = [line for line in whole if line[7:12] in some and "circle" not in line]
    assert [line for line in part if "circle" not in line] == of_some


@given(GRAPHS, st.sets(st.sampled_from(NAMES)))
def test_of_each_library_in_a_circle_one_is_told(graph, some):
    texts = sources(graph)
    libraries = {name for name, (library, _) in graph.items() if library}
    ways = {name: {*needed} & libraries for name, (_, needed) in graph.items() if name in libraries}
    reached = {name: {*needed} for name, needed in ways.items()}
    for _ in NAMES:
        reached = {name: found.union(*(reached[one] for one in found)) for name, found in reached.items()}
    in_circles = {name for name in libraries if name in reached[name]}
    named: set[str] = set()
    for problem in check(Texts(texts), some & texts.keys()):
        if problem.code == "require.circle":
            *circle, last = problem.message.rpartition(": ")[2].split(" -> ")
            assert circle[0] == last
            assert all(after in ways[before] for before, after in pairwise([*circle, last]))
            assert problem.path[7:] == circle[-1]
            assert circle[-1] in some
            named.update(circle)
    assert in_circles & some <= named <= in_circles
