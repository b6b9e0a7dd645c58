"""The declarations for language servers of Lua: all that the sandbox has, and Lua that compiles."""

from __future__ import annotations

import re

from luasprocs.language.compiler import syntax_problems
from luasprocs.language.editor.command_docs import kept
from luasprocs.language.editor.meta_library import meta_library
from luasprocs.language.sandbox import MEMBERS
from luasprocs.language.sandbox import commands as known_commands


def test_it_compiles_and_declares_what_the_sandbox_has():
    text = meta_library(kept(), "a server")
    assert syntax_problems("sprocs.lua", text.encode()) == []
    declared = set(re.findall(r"^(?:function )?(\w+\.\w+)", text, re.MULTILINE))
    own = {"redis", "cjson", "cmsgpack", "bit", "struct"}
    assert {f"{table}.{name}" for table in own for name in MEMBERS[table]} <= declared
    assert {"sproc.call", "sproc.enqueue", "sproc.shard"} <= declared


def test_its_commands_are_those_that_a_script_may_call():
    offered = set(re.findall(r'^---\| "([^"]+)"', meta_library(kept(), "a server"), re.MULTILINE))
    assert {"GET", "HSETNX", "XADD", "OBJECT"} <= offered
    assert offered.isdisjoint({"MULTI", "SUBSCRIBE", "EVAL"})
    assert {name.lower() for name in offered} <= known_commands().keys()
