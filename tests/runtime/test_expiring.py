"""Which keys have an `expired` trigger."""

from __future__ import annotations

from luasprocs.runtime.bindings import parse_bindings
from luasprocs.runtime.expiring import Expiring, Subscriptions, expiring
from tests.runtime.test_bindings import reply


def expiring_of(**sprocs):
    return expiring(parse_bindings(reply({}, **sprocs)))


def test_only_keys_with_an_expired_trigger_have_deadlines():
    assert not expiring_of(a=("set", "k*"))
    assert expiring_of(a=("expired", "k*"), b=("set", "x")) == Expiring(globs=(b"k*",))
    assert expiring_of(a=("expired", "k"), b=("*", "x, y?")) == Expiring(frozenset({b"k", b"x"}), (b"y?",))
    assert expiring_of(a=("expired", "k"), b=("*", "*")) == Expiring(globs=(b"*",))


def test_deadlines_are_heard_of_at_the_keys_or_at_the_events():
    exact = Expiring(frozenset({b"a", b"b"}))
    assert exact.subscriptions(2) == Subscriptions((b"__keyspace@2__:a", b"__keyspace@2__:b"))
    one = Expiring(frozenset({b"a"}), (b"k*",))
    assert one.subscriptions(0) == Subscriptions((b"__keyspace@0__:a",), (b"__keyspace@0__:k*",))
    for many in (Expiring(globs=(b"j*", b"k*")), Expiring(globs=(b"*",))):
        channels, patterns = many.subscriptions(0)
        assert b"__keyevent@0__:expire" in channels
        assert patterns == ()
    assert Expiring().subscriptions(0) == Subscriptions()


def test_which_keys_have_deadlines():
    matches = Expiring(frozenset({b"a"}), (b"k*", b"?x")).matcher()
    assert [key for key in (b"a", b"ab", b"k1", b"yx", b"x") if matches(key)] == [b"a", b"k1", b"yx"]
    assert Expiring(globs=(b"*",)).matcher()(b"\xff")
