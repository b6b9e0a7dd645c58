"""Each source under EVAL and as a sproc: replies, errors and effects are the same, but for what docs/eval.md lists."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
from redis.exceptions import ResponseError

from luasprocs.language.analysis import analyse
from tests.live import put, sproc
from tests.paths import ROOT

KEYS, ARGS = ("k1", "k2"), ("a", "41", b"\0\xff")
NOT_OWN = "[^_]*"
"""No source makes a key that begins as the registry's do."""
EXAMPLES = {
    str(path.relative_to(ROOT / "sprocs")): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "sprocs").rglob("*.lua"))
}
"""All of them; what calls other sprocs, or runs in a worker, has no meaning under EVAL."""
ONLY_HERE = re.compile(r"\bsproc\.(call|enqueue|trigger|cut|id)\b|runasync=yes|library=yes")


NO_TEXT = (
    "error({ok = 'x'})",
    "error({})",
    "error({err = {}})",
    "error({'list'})",
    "error(setmetatable({}, {__tostring = function() return 'shown' end}))",
    "assert(false, {})",
)
"""What redis-server 7.0 crashes on under EVAL itself: tables without a text."""


class End(NamedTuple):
    """How a source ended: its reply or error, and what was in the keyspace then."""

    said: Any
    left: dict[bytes, Any]


def snippets() -> list[str]:
    text = (ROOT / "tests/engine/snippets.txt").read_text(encoding="utf-8")
    lines = [line.replace("⏎", "\n") for line in text.splitlines() if not line.startswith("# ")]
    assert len(lines) == len(set(lines))
    return lines


def listed() -> dict[str, str]:
    """What docs/eval.md says that differs: each source and why."""
    page = (ROOT / "docs" / "eval.md").read_text(encoding="utf-8")
    return {one.replace("⏎", "\n"): why for one, why in re.findall(r"^- `(.+?)`: (.+)$", page, re.MULTILINE)}


def seed(client) -> dict[bytes, Any]:
    """Makes the keys that sources find, and no others but the registry's. Returns what is there then."""
    with client.pipeline(transaction=False) as pipe:
        pipe.delete("k1", *client.keys(NOT_OWN))
        pipe.mset({"string": "v", "number": "7"})
        pipe.rpush("list", "b", "a")
        pipe.hset("hash", "f", "1")
        pipe.sadd("set1", "m1")
        pipe.sadd("one", "m")
        pipe.zadd("zset", {"m": 1.5})
        pipe.xadd("stream", {"f": "v"}, id="1-1")
        pipe.execute()
    return left_by(client)


def left_by(client) -> dict[bytes, Any]:
    """Each key's value, and whether it has a TTL."""
    names = client.keys(NOT_OWN)
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.dump(name)
            pipe.ttl(name)
        found = pipe.execute()
    return dict(zip(names, ((value, ttl > 0) for value, ttl in zip(found[::2], found[1::2], strict=True)), strict=True))


def said(client, name: str, *command: Any) -> Any:
    try:
        return repr(client.execute_command(*command)).replace(name, "user_script")
    except ResponseError as error:
        text = (
            f"{error.status_code or ''} {error}" if isinstance(getattr(error, "status_code", None), str) else str(error)
        )
        text = text.replace("@user_script: ", "@user_script:").replace(name, "user_script")
        text = re.sub(r"script: ([\w-]+, )?on @", "script: on @", text)
        text = re.sub(r"^(ERR )?Error compiling script \(new function\): ", "", text)
        return type(error).__name__ + ": " + re.sub(r"0x[0-9a-f]+", "0x", text)


def end(client, seeded: dict[bytes, Any], name: str, *command: Any) -> End:
    """Runs it on the keys as `seed` makes them, and makes them so again."""
    reply = said(client, name, *command)
    left = left_by(client)
    if left != seeded:
        seed(client)
    return End(re.sub(r"0x[0-9a-f]+", "0x", reply), left)


def as_script(name: str, source: str) -> str:
    """An example as EVAL takes it: `sproc.name`, and `require` of the examples' libraries, are made on its first line."""
    if "require" not in source or name not in EXAMPLES:
        return source
    texts = {
        lib: "".join(f"\\{byte:03d}" for byte in EXAMPLES[lib].encode()) for lib in EXAMPLES if lib.startswith("lib/")
    }
    loads = ", ".join(f"['{lib}'] = loadstring(\"{text}\", '@{lib}')" for lib, text in texts.items())
    made = f"local libs = {{ {loads} }} require = function(lib) return libs[lib]() end"
    return f"local sproc, require = {{ name = '{name}' }}; do {made} end; {source}"


def differences(server, sources: dict[str, str], calls) -> dict[str, tuple[End, End]]:
    found: dict[str, tuple[End, End]] = {}
    for protocol in (2, 3):
        client = server.client(protocol=protocol)
        seeded = seed(client)
        for name, source in sources.items():
            keys, args = calls
            there = end(client, seeded, name, "EVAL", as_script(name, source), len(keys), *keys, *args)
            if "FLUSHALL" in source:
                put_back(client, sources)
            here = end(client, seeded, name, "FCALL", "luasprocs_execute", len(keys), *keys, name, *args)
            if "FLUSHALL" in source:
                put_back(client, sources)
            if there != here:
                found.setdefault(source, (there, here))
    return found


def put_back(client, sources: dict[str, str]) -> None:
    put(client, *(sproc(name, source) for name, source in sources.items()))


def test_each_snippet_ends_as_under_eval_but_for_what_the_docs_list(server):
    named = {f"s{number}.lua": source for number, source in enumerate(snippets())}
    sources = {name: source for name, source in named.items() if analyse(source).sound}
    if server.kind == "redis":
        sources = {name: source for name, source in sources.items() if source not in NO_TEXT}
    assert len(sources) > 200
    client = server.client()
    for source in (source for source in named.values() if not analyse(source).sound):
        with pytest.raises(ResponseError):
            client.eval(source, 0)
    put_back(client, sources)
    found = differences(server, sources, (KEYS, ARGS))
    known = listed()
    new = {source: ends for source, ends in found.items() if source not in known}
    assert not new, "\n".join(f"{source!r}\n  EVAL: {there}\n  here: {here}" for source, (there, here) in new.items())
    other = {"valkey": "Redis", "redis": "Valkey"}[server.kind]
    gone = [source for source, why in known.items() if source not in found and f"(only {other}" not in why]
    assert not gone, "docs/eval.md lists what does not differ"


def test_each_example_ends_as_under_eval(server):
    sources = {name: source for name, source in EXAMPLES.items() if not ONLY_HERE.search(source)}
    assert len(sources) > 5
    client = server.client()
    put(client, *(sproc(name, source) for name, source in EXAMPLES.items()))
    for calls in (
        ((), ()),
        (("k1",), ("1",)),
        (("k1", "k2"), ("3", "60", "1")),
        (("list", "zset"), ("a", "5", "x", "2")),
    ):
        for source, (there, here) in differences(server, sources, calls).items():
            assert (there.said, there.left.keys()) == (here.said, here.left.keys()), source  # values have times in them
