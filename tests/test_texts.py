"""Code looks at types and codes: a message of ours is for people alone, and a server's words are known to one module."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from luasprocs.server import errors
from tests.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("luasprocs", "sync", "luasprocs_tui")
READERS = {
    "luasprocs/server/errors.py": "the server's errors",
    "luasprocs/server/script_errors.py": "the place and the code of a sproc's error",
    "sync/toml.py": "tomllib's errors, which tell a place in words only",
}
"""Modules that look at the text of an error of somebody else, and whose."""
SPEAKERS = {
    "luasprocs/server/errors.py": "their home",
    "luasprocs/contract/lua.py": "the engine refuses with a server's code what it gives workers alone",
    "luasprocs/server/reasons.py": "why no connection came about, which most often the system says",
    "luasprocs/server/info.py": "it tells people the code that the server refuses writes with",
    "luasprocs/server/states.py": "those that workers know, too, without redis-py",
    "luasprocs/server/embedded.py": "it reads the log and raw replies of its own server, without redis-py",
    "luasprocs/worker/server_texts.py": "a worker's sproc gets the server's texts",
}
"""Modules that may hold words of the server's errors, and why."""
LOOKING = {
    "startswith",
    "endswith",
    "find",
    "index",
    "count",
    "partition",
    "rpartition",
    "split",
    "removeprefix",
    "removesuffix",
}
MATCHING = {"match", "search", "fullmatch", "findall", "finditer", "sub", "split"}
CODES = re.compile(
    r"\b(NOAUTH|WRONGPASS|NOPERM|WRONGTYPE|NOGROUP|LOADING|MISCONF|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|CROSSSLOT)\b"
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def modules(*left_out: str) -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name not in left_out:
                yield name, tree(path)


def caught(module: ast.Module) -> set[str]:
    """The names that exceptions have in a module."""
    handled = {node.name for node in ast.walk(module) if isinstance(node, ast.ExceptHandler) and node.name}
    return handled | {"error", "problem", "reply"}


def is_text_of_error(node: ast.expr, names: set[str]) -> bool:
    """`str(error)`, `repr(error)`, `f"{error}"`, `error.args`, `error.message`, `error.strerror`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"str", "repr"}:
        return any(is_error(one, names) or is_text_of_error(one, names) for one in node.args)
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) and is_error(part.value, names) for part in node.values)
    if isinstance(node, ast.Subscript):
        return is_text_of_error(node.value, names)
    if isinstance(node, ast.Attribute):
        return node.attr in {"args", "message", "strerror"} and is_error(node.value, names)
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_text_of_error(node.func.value, names)
    )


def is_error(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def looked_at(module: ast.Module) -> Iterator[ast.expr]:
    """What is compared, searched, or taken apart."""
    for node in ast.walk(module):
        if isinstance(node, ast.Compare):
            yield from (node.left, *node.comparators)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in LOOKING:
                yield node.func.value
            if node.func.attr in MATCHING:
                yield from node.args
        elif isinstance(node, ast.Match):
            yield node.subject


def lines(module: ast.Module) -> list[int]:
    """Where the text of an error is looked at, at once or by a variable."""
    names, kept = caught(module), set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and is_text_of_error(node.value, names):
            kept |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return [node.lineno for node in looked_at(module) if is_text_of_error(node, names) or is_error(node, kept)]


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept E as e:\n  x = 'gone' in str(e)",
        "try: f()\nexcept E as e:\n  x = str(e).startswith('gone')",
        "try: f()\nexcept E as e:\n  x = re.search('gone', str(e).lower())",
        "try: f()\nexcept E as e:\n  x = e.args[0] == 'gone'",
        "try: f()\nexcept E as e:\n  x = 'gone' in f'{e}'",
        "try: f()\nexcept E as e:\n  said = str(e)\n  x = 'gone' in said",
    ],
)
def test_each_way_to_look_at_the_text_of_an_error_is_found(code):
    assert lines(ast.parse(code))
    assert not lines(ast.parse("try: f()\nexcept E as e:\n  raise X(str(e)) from e"))


def test_no_code_looks_at_the_text_of_an_error():
    found = [f"{name}:{line}" for name, module in modules(*READERS) for line in lines(module)]
    assert not found


def test_the_modules_that_look_at_texts_of_others_still_do():
    found = {name for name, module in modules() if lines(module)}
    assert found == set(READERS)


def texts(module: ast.Module) -> Iterator[tuple[int, str]]:
    """All texts of a module but its docstrings."""
    docs = {
        node.body[0].value
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    plain = (node for node in ast.walk(module) if isinstance(node, ast.Constant) and node not in docs)
    for node in plain:
        if isinstance(node.value, str | bytes):
            yield node.lineno, node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def words_of_servers() -> set[str]:
    """What errors.py looks for, as far as it is more than a code."""
    told = {words for _, words, _, _ in errors._BY_TEXT} | {*errors._IN_SCRIPT, *errors._STATES, *errors._KILLED}
    return {words for words in told if " " in words}


def test_words_of_the_server_s_errors_have_one_home():
    words = words_of_servers()
    assert {"unction not found", "nesting depth"} <= words
    found = [
        f"{name}:{line}: {text}"
        for name, module in modules(*SPEAKERS)
        for line, text in texts(module)
        if any(one in text for one in words) or CODES.search(text)
    ]
    assert not found


def test_no_lua_of_ours_holds_words_of_the_server_s_errors():
    words = words_of_servers()
    files = [path for package in ("engine", "worker/lua") for path in (ROOT / "luasprocs" / package).glob("*.lua")]
    assert files
    assert not [path.name for path in files if any(one in path.read_text(encoding="utf-8") for one in words)]
