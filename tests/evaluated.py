"""Sources that need all the room that EVAL gives them."""

from __future__ import annotations


def locals_of(count: int) -> bytes:
    """A source with so many locals, which returns the last."""
    return "".join(f"local a{at} = {at}\n" for at in range(count)).encode() + b"return a%d" % (count - 1)


def upvalues_of(count: int) -> bytes:
    """A source whose inner function has so many upvalues, and looks at KEYS, ARGV, redis; returns how many both are."""
    names = [f"a{at}" for at in range(count)]
    body = f"local {', '.join(names)}\nlocal function f() {'; '.join(f'{name} = 1' for name in names)}\n"
    return (body + "return redis.call('ECHO', #KEYS + #ARGV) end\nreturn f()").encode()
