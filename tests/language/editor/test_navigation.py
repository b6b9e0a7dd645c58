"""Members of libraries: where they are defined, in each way in which people write a library, and where they are used."""

from __future__ import annotations

import pytest

from luasprocs.language.editor import navigation
from luasprocs.language.editor.navigation import Target

LIBRARIES = {
    "functions of a table": "local M = {}\nfunction M.now() end\nfunction M:then_() end\nreturn M\n",
    "fields of a table": "local M = {}\nM.now = function() end\nM.then_ = 1\nreturn M",
    "a table that is made with them": "local M = { now = 1, then_ = function() return { other = 2 } end }\nreturn M",
    "a table that is returned": "-- { no = 1 }\nreturn {\n  now = 1,\n  then_ = { other = 2 },\n}\n",
}


@pytest.mark.parametrize("text", LIBRARIES.values(), ids=LIBRARIES)
def test_the_members_of_a_library(text):
    found = navigation.members(text)
    assert [one.name for one in found] == ["now", "then_"]
    assert [text[one.start : one.end] for one in found] == ["now", "then_"]


USES = """
local t = require('lib/t.lua')
local other = require 'lib/other.lua'
-- t.now()
local s = "t.now"
local a = t.now() + other.now() + x.t.now + t:now()
return require('lib/t.lua').now, t.nower
"""


def test_where_a_member_is_used():
    sources = {"lib/t.lua": LIBRARIES["a table that is returned"], "a.lua": USES}
    found = list(navigation.references_to(Target("lib/t.lua", "now"), sources, declaration=False))
    lines = [USES[: one.start].count("\n") + 1 for one in found]
    assert lines == [6, 6, 7]
    assert {USES[one.start : one.end] for one in found} == {"now"}
    for one in found:
        assert navigation.target("a.lua", USES, one.start) == Target("lib/t.lua", "now")


def test_a_member_is_found_from_its_definition_too():
    text = LIBRARIES["functions of a table"]
    assert navigation.target("lib/t.lua", text, text.index("now")) == Target("lib/t.lua", "now")
    assert navigation.target("lib/t.lua", text, text.index("local")) is None
