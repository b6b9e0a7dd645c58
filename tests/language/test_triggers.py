"""Trigger kinds: what the table of them says about headers. Which sources an event has is tested with the reconciler."""

from __future__ import annotations

import pytest

from luasprocs.contract.metadata import KEYS
from luasprocs.language import triggers
from luasprocs.language.triggers.event import EventTrigger, trigger_of


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "call"),
        ({"event": "set,hset", "key": "a*"}, "set,hset a*"),
        ({"event": "*"}, "* *"),
        ({"cron": "@daily"}, "cron @daily"),
        ({"every": "15s", "runasync": "yes"}, "async every 15s"),
        ({"runasync": "yes"}, "async call"),
        ({"event": "set", "cron": "@daily"}, "set *, cron @daily"),
        ({"library": "yes", "event": "set"}, "library"),
    ],
)
def test_a_trigger_in_words(values, said):
    assert triggers.described(values) == said


def test_each_kind_names_keys_of_the_contract_in_its_scope():
    for name, kind in triggers.KINDS.items():
        assert KEYS[name].scope == kind.SCOPE
        assert {KEYS[key].scope for key in kind.NEEDED_BY} <= {kind.SCOPE}
        assert set(kind.EXCLUDES) <= triggers.KINDS.keys() - {name}


def test_every_kind_of_the_contract_is_a_module_here():
    makes_one = {"events", "cron"}  # kinds of values that only a trigger's own key has
    assert {name for name, key in KEYS.items() if key.kind in makes_one} <= triggers.KINDS.keys()
    assert set(triggers.HEADER_KEYS) >= {*triggers.KINDS, *triggers.SCHEDULE_KEYS, "key"}


@pytest.mark.parametrize(
    ("values", "scheduled"),
    [
        ({"cron": "@daily"}, True),
        ({"every": "1s"}, True),
        ({"every": "1s", "enabled": "NO"}, False),
        ({"event": "*"}, False),
    ],
)
def test_what_has_a_schedule(values, scheduled):
    assert triggers.is_scheduled(values) is scheduled


def test_a_disabled_sproc_is_bound_to_nothing():
    assert trigger_of("a.lua", {"event": "set, del"}) == EventTrigger("a.lua", ("set", "del"), ("*",))
    assert trigger_of("a.lua", {"event": "set", "key": "a,b*"}) == EventTrigger("a.lua", ("set",), ("a", "b*"))
    assert trigger_of("a.lua", {"event": "set", "enabled": "no"}) is None
    assert trigger_of("a.lua", {"cron": "@daily"}) is None
