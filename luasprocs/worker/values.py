"""Replies of the server as Lua values, and numbers as texts, as Redis makes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from luasprocs.worker.replies import ErrorReply, StatusReply, Typed

if TYPE_CHECKING:
    from lupa.lua51 import LuaRuntime

_PLAIN = frozenset({bytes, int, bool})


def to_lua(runtime: LuaRuntime, reply: Any, resp: int) -> Any:
    """A reply as `redis.call` gives it. With `resp` 2 a null is false, as it must be in a table; with 3 it is nil."""
    kind = type(reply)
    if kind in _PLAIN:
        return reply
    if reply is None:
        return False if resp == 2 else None
    if kind is list:
        if _PLAIN.issuperset(map(type, reply)):
            return runtime.table_from(reply)
        return runtime.table_from([to_lua(runtime, part, resp) for part in reply])
    if kind is float:
        return runtime.table_from({b"double": reply})
    if kind is StatusReply:
        return runtime.table_from({b"ok": reply.text})
    if kind is ErrorReply:
        return runtime.table_from({b"err": reply.text})
    return _typed(runtime, reply, resp)


def _typed(runtime: LuaRuntime, reply: Typed, resp: int) -> Any:
    def lua(part: Any) -> Any:
        return to_lua(runtime, part, resp)

    value: Any
    match reply.kind:
        case "map":
            value = runtime.table_from({lua(key): lua(part) for key, part in reply.value})
        case "set":
            value = runtime.table_from({lua(part): True for part in reply.value})
        case "verbatim_string":
            parts = {b"format": reply.value[:3], b"string": reply.value[4:]}
            value = runtime.table_from(parts)
        case _:
            value = reply.value
    return runtime.table_from({reply.kind.encode(): value})


def words_of(passed: tuple[Any, ...]) -> tuple[bytes, ...]:
    """What Lua has passed, one by one or in a table."""
    if len(passed) != 1 or isinstance(passed[0], bytes):
        return passed
    table = passed[0]
    return tuple(table[place] for place in range(1, len(table) + 1))


def shortest(number: float) -> bytes:
    """The shortest text of a number that reads as the same, as Redis writes it since 7.2 (its fpconv): 1e+100, 1.5e-7."""
    if not math.isfinite(number):
        return f"{number}".encode()
    sign = "-" if number < 0 else ""
    digits, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = digits.partition(".")
    fraction = "" if fraction == "0" else fraction
    significant = (whole + fraction).lstrip("0")
    scale = int(exponent or 0) - len(fraction)
    stripped = significant.rstrip("0") or "0"
    scale += len(significant) - len(stripped) if significant else 0
    return (sign + _placed(stripped, scale)).encode()


def _placed(digits: str, scale: int) -> str:
    """`digits` times ten to the power of `scale`, by fpconv's rules of where an exponent is shorter."""
    exponent = scale + len(digits) - 1
    if scale >= 0 and exponent < len(digits) + 7:
        return digits + "0" * scale
    if scale < 0 and (scale > -7 or abs(exponent) < 4):
        point = len(digits) + scale
        return f"{digits[:point]}.{digits[point:]}" if point > 0 else f"0.{'0' * -point}{digits}"
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent)}"
