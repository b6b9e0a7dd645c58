"""Heartbeats, records and what daemons publish, as anybody may have written them: values of the right types all the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.contract.records import EXECUTION, names_of
from luasprocs.registry.edits import parse_edit
from luasprocs.registry.pins import pin_of
from luasprocs.registry.revision import Revision
from luasprocs.state.acknowledged import parse_acknowledged
from luasprocs.state.daemons import parse_heartbeats
from luasprocs.state.desired import Suspended, SyncState
from luasprocs.state.executions import Execution, Gap
from luasprocs.state.paused import parse_pauses
from luasprocs.state.stats import Stats
from sync.execution_lines import json_line, row_of
from tests.fuzz.mutated import mutated
from tests.soak import SOAK, examples

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
BEAT = b'1700000000000 7 {"host":"h","pid":1,"version":"1","workers":2,"jobs":0,"lag":0,"sync":true,"schedules":1,"ignored":0}'
BEATS = [BEAT, b"1700000000000 7 [1]", b'1 2 "x"', b"1 2 3", BEAT.replace(b'"h"', b"[1]").replace(b":2", b':{"a":1}')]
NUMBERS = mutated([b"1", b"0", b"17", b"1700000000000", b"1.5e3", b"-1", b"9223372036854775807"])
TEXTS = mutated(
    [
        b"ok",
        b"error",
        b"a.lua",
        b"event",
        b"1",
        b"[]",
        b"[[1]]",
        b'{"a":1}',
        b'["a.lua"]',
        b'{"a.lua":"b"}',
        b"ev:1",
        b"user@host",
    ]
)
ID = b"1700000000000-0"


def entry(names: list[str]) -> st.SearchStrategy[dict[bytes, bytes]]:
    return st.dictionaries(st.sampled_from([name.encode() for name in names]) | TEXTS, NUMBERS | TEXTS, max_size=12)


@examples(300)
@given(mutated(BEATS), mutated([b"h:1:x"]))
def test_any_heartbeat(beat, name):
    for one in parse_heartbeats({name: beat, b"whole": BEAT}):
        assert isinstance(one.age_ms(1_700_000_000_000), int)
        assert one.alive(1_700_000_000_000) in {True, False}
        assert all(isinstance(value, str | int | dict) for value in one), one
    assert "whole" in {one.id for one in parse_heartbeats({name + b"x": beat, b"whole": BEAT})}


@examples(300)
@given(entry(list(names_of(EXECUTION))))
def test_any_record_of_a_run(stored):
    one = Execution.parse(ID, stored)
    assert all(isinstance(cell, str) for cell in row_of(one))
    assert json_line(one).isascii()
    assert one.failed in {True, False}
    assert Gap.parse(ID, stored)


STATS = [*Stats._fields, "le_50", "le_inf", "le_x"]


@examples(200)
@given(entry(STATS))
def test_any_counters(stored):
    one = Stats.parse(stored)
    assert one.failing in {True, False}
    assert one.p50_us is None or one.p50_us >= 0
    assert one.runs >= 0


@examples(300)
@given(entry([*SyncState._fields]), entry([*Revision._fields]), TEXTS)
def test_any_state(state, revision, edit):
    assert SyncState.parse(state).stored() is not None
    assert pin_of(Revision.parse(revision)).stored() is not None
    assert Suspended.parse(state, "k") is None or str(Suspended.parse(state, "k"))
    parse_edit(edit.decode("utf-8", "surrogateescape"))
    parse_acknowledged(state)
    parse_pauses({edit}, state)
