"""What Python and the engine agree on stands in one place: the docs, the engine and the readers say the same."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from luasprocs.contract import lua, records
from luasprocs.contract.cluster import CLUSTER_CHUNKS
from luasprocs.contract.codes import Status, Trigger
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.contract.keys import KEYS, Keys, everyones, keys_of
from luasprocs.contract.metadata import KEYS as METADATA
from luasprocs.contract.page import page
from luasprocs.contract.records import names_of
from luasprocs.contract.refusals import Refusal
from luasprocs.engine import CHUNKS, LOADED, source
from luasprocs.registry.history import Generation
from luasprocs.registry.revision import Revision
from luasprocs.server.registry import Registry
from luasprocs.state.desired import SyncState
from luasprocs.state.executions import Execution, Gap
from tests.live import put, sproc
from tests.paths import ROOT

ENGINE = {name: source(name) for name in (*LOADED, *CHUNKS)}


def test_the_page_is_generated_from_the_contract():
    assert (ROOT / "docs" / "registry.md").read_text(encoding="utf-8") == page(), "run python -m luasprocs.contract"


def test_each_key_has_a_name_of_its_own_below_its_namespace():
    keys = Keys("shop")
    names = [key.within(keys) for key in KEYS]
    assert len(set(names)) == len(names)
    assert keys.markers == "__*_Sproc_Markers_*__:shop"
    assert all(name.startswith("shop:__*_Sproc_") for name in names if name != keys.markers)
    assert {key.attribute: getattr(keys, key.attribute) for key in KEYS} == {
        key.attribute: key.within(keys) for key in KEYS
    }
    assert keys.executions == "shop:__*_Sproc_Executions_*__"
    assert keys.name("a.lua") == "shop:__*_Sproc_Name_a.lua"


@pytest.mark.parametrize("keys", [Keys(), Keys("shop"), Keys("{shop}"), Keys("a.b:c"), Keys("shop", "luasprocs-7")])
def test_a_channel_of_markers_tells_its_registry(keys):
    assert keys_of(Keys.markers, keys.markers.encode()) == keys


def test_no_event_has_a_channel_that_begins_like_the_pattern_of_all_markers():
    """With a pattern that begins with `*` the server looks through the whole channel of each event: a tenth of a SET."""
    assert everyones(Keys.markers) == rb"__\*_Sproc_Markers_\*__*"
    assert everyones(Keys.markers, "luasprocs-7") == rb"{luasprocs-7}:__\*_Sproc_Markers_\*__*"


def test_the_server_has_the_functions_of_the_contract_and_their_flags(server):
    client = server.client()
    put(client, sproc("a.lua", "return 1"))
    [[_, _, _, _, _, functions]] = client.execute_command("FUNCTION", "LIST")
    found = {one[1].decode(): [flag.decode() for flag in one[5]] for one in functions}
    flags = {
        name: ["no-writes"] * one.reads + ["allow-oom"] * one.always
        for name, one in FUNCTIONS.items()
        if one.chunk not in CLUSTER_CHUNKS
    }
    assert found == {Keys().function(name): said for name, said in flags.items()}


def test_a_call_with_too_few_or_too_many_arguments_is_refused_before_it_is_sent(server):
    registry = Registry(server.client(), Keys())
    for name, *arguments in (
        ("tick", 250),
        ("leave",),
        ("cover", "d", "e", "source"),
        ("due", 1),
        ("finish", "d", "1-1"),
    ):
        with pytest.raises(TypeError, match=f"luasprocs_{name} 0"):
            registry.call(str(name), *arguments)


def test_the_readers_have_the_fields_of_the_records():
    def read(kind, *others):
        return tuple(name for name in kind._fields if name not in others)

    assert read(Execution, "id", "time_ms", "shard") == names_of(records.EXECUTION)
    assert read(Gap, "id", "time_ms", "shard") == names_of(records.GAP)
    assert read(Revision) == names_of(records.REVISION)
    assert read(Generation, "at_ms") == names_of(records.HISTORY)
    assert read(SyncState) == names_of(records.DESIRED)


def test_the_engine_writes_a_record_in_one_place():
    assert [
        name for name, text in ENGINE.items() if re.search(r"'XADD', (K\.)?EXECUTIONS, (unpack|'MAXLEN')", text)
    ] == ["records"]


def test_words_that_the_engine_writes_are_those_of_the_contract():
    whole = "\n".join(ENGINE.values())
    statuses = set(re.findall(r"\bstatus = '(\w+)'", whole)) | set(re.findall(r"'(\w+)', entry\.refused", whole))
    assert statuses <= set(Status)
    assert set(re.findall(r"\btrigger = '(\w+)'", ENGINE["records"] + ENGINE["ticks"] + ENGINE["dispatch"])) <= set(
        Trigger
    )
    codes = set(re.findall(r"refusal\('([A-Z]+)'", whole)) | set(re.findall(r"[\"']([A-Z]{3,}) (?:this|')", whole))
    assert codes - {"ERR"} == set(Refusal)


def test_no_code_of_the_engine_looks_for_words_of_its_own_messages():
    others = {" has more than ", "non local key", "same slot"}  # Lua's own, and the server's
    looked_for = set(re.findall(r":find\(['\"]([^'\"]+)['\"]", "\n".join(ENGINE.values()))) - others
    assert not [words for words in looked_for if re.search(r"[a-z] [a-z]", words)]


def test_each_chunk_is_far_from_luas_limit_of_locals():
    for name, text in ENGINE.items():
        declared = sum(line.count(",") + 1 for line in re.findall(r"^local (?:function )?([^=(]+)", text, re.MULTILINE))
        assert declared < 60, name


def test_a_chunk_has_a_local_function_once():
    for name, text in ENGINE.items():
        named = re.findall(r"^[ \t]*local function (\w+)|^local (\w+) = function\b", text, re.MULTILINE)
        functions = [one or other for one, other in named]
        assert len(functions) == len(set(functions)), (name, sorted(functions))


WRITTEN = (
    *(
        {},
        {"event": "set"},
        {"cron": "@daily"},
        {"every": "15s"},
        {"runasync": "yes"},
        {"runasync": "YES", "event": "set"},
    ),
    *({"every": "15s", "misfire": misfire} for misfire in ("once", "skip", "all", "ALL")),
    *({"cron": "@daily", "runasync": "yes", "misfire": misfire} for misfire in ("once", "all")),
)


def test_a_default_is_the_same_for_python_and_for_the_engine(server):
    """Both are asked for each key, beside several others that a header may state."""
    text = lua.chunk(source("header"), lua.constants(Keys()))
    script = f"local header = (function(...) {text}\nend)()\nreturn header.value(cjson.decode(ARGV[1]), ARGV[2]) or ''"
    client = server.client()
    sha = client.script_load(script)
    for values, key in itertools.product(WRITTEN, METADATA.values()):
        found = client.evalsha(sha, 0, json.dumps(values), key.name).decode()
        assert found == (values.get(key.name) or key.default(values)), (values, key.name)
