"""cjson, cmsgpack, bit and struct of a worker, beside those of both servers: any values, any bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak import SOAK, examples
from tests.worker.agreement import differences

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 120)]


def lua_number(value: float) -> str:
    if value != value:  # noqa: PLR0124 - NaN
        return "(0/0)"
    if value in {float("inf"), float("-inf")}:
        return f"({'-' * (value < 0)}1/0)"
    return f"({value:.17g})" if value or str(value) == "0.0" else "(0/-1)"


def lua_string(value: bytes) -> str:
    return "'" + "".join(f"\\{byte:03d}" for byte in value) + "'"


def lua_table(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"[{key}]={value}" for key, value in pairs) + "}"


EDGES = [2.0**power + by for power in (0, 7, 8, 15, 16, 31, 32, 51, 52, 53, 63) for by in (-1, 0, 1)]
NUMBERS = st.one_of(
    st.integers(-40, 300).map(float),
    st.sampled_from([*EDGES, *(-edge for edge in EDGES)]),
    st.floats(),
    st.floats(width=32),
).map(lua_number)
STRINGS = st.one_of(
    st.text(max_size=5).map(str.encode),
    st.binary(max_size=8),
    st.sampled_from([31, 32, 255, 256]).map(lambda size: b"x" * size),
).map(lua_string)
LEAVES = st.one_of(NUMBERS, STRINGS, st.sampled_from(["nil", "true", "false", "cjson.null", "{}"]))
SMALL = st.integers(-1, 40).map(str)
NUMERALS = st.one_of(st.integers(-1, 14).map(str), NUMBERS.filter(lambda number: number != "(0/0)"))
NAMES = st.binary(max_size=40).map(
    lambda name: lua_string(b"k" + name)
)  # no number's text: JSON would have one key twice
SHORT = st.binary(max_size=31).map(lua_string)  # longer keys have another order in Redis than in plain Lua 5.1


def tables(leaves: st.SearchStrategy[str], keys: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        leaves,
        lambda values: st.one_of(
            st.lists(values, max_size=20).map(lambda items: "{" + ",".join(items) + "}"),
            st.lists(st.tuples(keys, values), max_size=6).map(lua_table),
        ),
        max_leaves=25,
    )


def batches(scripts: st.SearchStrategy[str]) -> st.SearchStrategy[list[bytes]]:
    """Lists of scripts: one round trip judges many."""
    return st.lists(scripts.map(str.encode), min_size=10, max_size=60)


on_both = examples(12)


@on_both
@given(data=st.data())
def test_any_table_is_encoded_as_on_a_server(server, data):
    # Valkey has string keys in another order
    keys = st.one_of(NUMERALS, SHORT, st.just("true")) if server.kind == "redis" else NUMERALS
    leaves = st.one_of(LEAVES, st.just("string.rep"))
    both = "local v = {} return cmsgpack.pack(v, 1), pcall(cjson.encode, v)"
    scripts = data.draw(batches(tables(leaves, keys).map(lambda table: both.replace("{}", table, 1))))
    assert differences(server, scripts) == {}


@on_both
@given(values=st.lists(tables(LEAVES, st.one_of(SMALL, NAMES)), min_size=10, max_size=60))
def test_any_table_comes_back_as_on_a_server(server, values):
    script = """
      local c = cjson.new() c.encode_sparse_array(true) c.encode_invalid_numbers('on')
      local v = {} local packed, done, text = cmsgpack.pack(v), pcall(c.encode, v)
      return cmsgpack.unpack(packed), #packed, done, #text, done and c.decode(text)"""
    scripts = [script.replace("{}", value, 1).encode() for value in values]
    assert differences(server, scripts) == {}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda values: st.one_of(st.lists(values, max_size=5), st.dictionaries(st.text(max_size=5), values, max_size=5)),
    max_leaves=15,
)
SPLICES = [
    b"",
    b"\0",
    b" ",
    b'"',
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"-",
    b"+",
    b"e",
    b"0x",
    b"nan",
    b"inf",
    b"tru",
]


@st.composite
def texts_of_json(draw: st.DrawFn) -> str:
    """JSON, and what became of it when bytes were cut out and put in."""
    text = json.dumps(draw(JSON), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))).encode()
    for _ in range(draw(st.integers(0, 2))):
        at, cut = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
        text = text[:at] + draw(st.sampled_from(SPLICES)) + text[at + cut :]
    strict = draw(st.sampled_from(["true", "false"]))
    return f"local c = cjson.new() c.decode_invalid_numbers({strict}) local x = c.decode({lua_string(text)}) return x"


@on_both
@given(scripts=batches(texts_of_json()))
def test_any_json_is_decoded_as_on_a_server(server, scripts):
    assert differences(server, scripts) == {}


HEADS = st.one_of(st.integers(0, 255), st.integers(0xC0, 0xDF), st.integers(0x80, 0x9F)).map(lambda head: bytes([head]))
PACKED = st.lists(st.one_of(HEADS, st.binary(max_size=9)), max_size=8).map(b"".join)
UNPACK = st.one_of(
    st.builds("cmsgpack.unpack({})".format, PACKED.map(lua_string)),
    st.builds("cmsgpack.unpack_one({}, {})".format, PACKED.map(lua_string), st.integers(-1, 8)),
    st.builds(
        "cmsgpack.unpack_limit({}, {}, {})".format, PACKED.map(lua_string), st.integers(-1, 4), st.integers(-1, 8)
    ),
).map("local function r(...) return ... end return r({})".format)


@on_both
@given(scripts=batches(UNPACK))
def test_any_bytes_are_unpacked_as_on_a_server(server, scripts):
    assert differences(server, scripts) == {}


ONE = ("tobit", "bnot", "bswap", "tohex", "band", "bor", "bxor")
TWO = ("lshift", "rshift", "arshift", "rol", "ror", "tohex", "band", "bor", "bxor")
BITS = st.one_of(
    st.builds("return bit.{}({})".format, st.sampled_from(ONE), NUMBERS),
    st.builds("return bit.{}({}, {})".format, st.sampled_from(TWO), NUMBERS, NUMBERS),
    st.builds("return bit.{}({}, {}, {})".format, st.sampled_from(("band", "bor", "bxor")), NUMBERS, NUMBERS, NUMBERS),
)


@on_both
@given(scripts=batches(BITS))
def test_any_bits_are_those_of_a_server(server, scripts):
    assert differences(server, scripts) == {}


NUMERIC = st.one_of(
    st.sampled_from(["b", "B", "h", "H", "l", "L", "T", "i", "I", "f", "d"]),
    st.builds("{}{}".format, st.sampled_from("iI"), st.integers(0, 33)),
).map(lambda option: (option, NUMBERS))
TEXTUAL = st.one_of(st.sampled_from(["s", "c0", "c", "bc0"]), st.integers(0, 9).map("c{}".format)).map(
    lambda option: (option, STRINGS if option != "bc0" else STRINGS.map(lambda text: f"#{text}, {text}"))
)
BARE = st.sampled_from([" ", "<", ">", "!", "!1", "!2", "!4", "!8", "!16", "x"]).map(
    lambda option: (option, st.just(""))
)


@st.composite
def structs(draw: st.DrawFn) -> str:
    """What becomes of values that are packed, and of the bytes when they are unpacked from some place."""
    options = draw(st.lists(st.one_of(NUMERIC, TEXTUAL, BARE), min_size=1, max_size=8))
    values = [value for value in (draw(values) for _, values in options) if value]
    form = "".join(option for option, _ in options)
    arguments = ", ".join([f"'{form}'", *values])
    place = draw(st.integers(0, 4))
    return (
        f"local function r(...) local p = struct.pack({arguments}) "
        f"return p, pcall(struct.size, '{form}'), pcall(struct.unpack, '{form}', p .. '\\0abcdefghij', {place}) end return r()"
    )


@on_both
@given(scripts=batches(structs()))
def test_any_struct_is_packed_and_unpacked_as_on_a_server(server, scripts):
    assert differences(server, scripts) == {}
