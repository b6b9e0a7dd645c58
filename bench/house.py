"""The structure in numbers: rooms, arrows, circles, homes of one rule. Prints them beside what is wanted; fails on a miss.

Run with `make house`, which `make lint` does too. It reads the files as text and runs none of them.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
PACKAGES = ("luasprocs", "sync", "luasprocs_tui")
TRIGGER_KINDS = frozenset({"event", "cron", "every", "async"})
MODULE_LINES, FUNCTION_LINES = 300, 50
_LUA_LOCAL = re.compile(r"^local (?:function (?P<one>\w+)|(?P<names>[\w, ]+))", re.MULTILINE)
_SAID_BEFORE = re.compile(r"if \w+ (?:!=|==) (?:self\.)?_?(?:told|refused|refusal|said)\b")


class Count(NamedTuple):
    """One number: what it is at most, and the files that make it up."""

    what: str
    found: int
    wanted: int
    files: tuple[str, ...] = ()


def modules() -> dict[str, Path]:
    """Every module of the three packages by its dotted name; a package by its own name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """Each module's imports among `known`, those for types alone too."""
    arrows: dict[str, set[str]] = {}
    for name, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        arrows[name] = {one for node in ast.walk(tree) for one in _named(node, known)} - {name}
    return arrows


def _named(node: ast.AST, known: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            if whole in known:
                yield whole
            elif node.module in known:
                yield node.module


def circles(arrows: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Groups of modules that reach each other."""
    reached = {name: _reached(name, arrows) for name in arrows}
    groups = {tuple(sorted(other for other in reached[name] if name in reached.get(other, ()))) for name in arrows}
    return sorted(group for group in groups if len(group) > 1)


def _reached(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [*arrows[start]]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += arrows.get(name, ())
    return seen


def room(name: str) -> str:
    """The file or folder right below `luasprocs` that a module is in; "" for the package itself."""
    return name.split(".")[1] if name.startswith("luasprocs.") else ""


def _python() -> Iterator[tuple[str, str]]:
    for path in modules().values():
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def _lua() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "luasprocs").rglob("*.lua")):
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def _reads_flags(text: str) -> bool:
    """Whether Python code reads a header's yes or no. (Environments and URLs have `true` as well.)"""
    wanted = {"yes", b"yes"}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            parts = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
            words = {part.value for part in parts if isinstance(part, ast.Constant)}
            if words & wanted and "true" not in words:
                return True
    return False


def _looks_up_kinds(text: str) -> bool:
    """Whether Python code looks up or compares a kind of trigger by its word. Screens have such names, too."""
    return any(
        isinstance(one, ast.Constant) and one.value in TRIGGER_KINDS
        for node in ast.walk(ast.parse(text))
        for part in _looked_up(node)
        for one in ast.walk(part)
    )


def _looked_up(node: ast.AST) -> list[ast.expr]:
    """Where a node compares, or names a key."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Subscript):
        return [node.slice]
    if isinstance(node, ast.keyword) and node.arg == "trigger":
        return [node.value]
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return node.args if name in {"get", "typed", "says_yes"} else []
    return []


def _takes_client_and_keys() -> Iterator[str]:
    """Functions that take what a Registry is one by one."""
    for path, text in _python():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = {one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
                if {"client", "keys"} <= names:
                    yield f"{path}:{node.lineno}: {node.name}"


def _homes(what: str, wanted: int, files: Iterator[str]) -> Count:
    found = tuple(files)
    return Count(what, len(found), wanted, found)


def largest_chunk() -> tuple[int, str]:
    """The locals of the engine's chunk that has most of them; Lua allows 200."""
    return max((sum(map(_names, _LUA_LOCAL.finditer(text))), path) for path, text in _lua() if "/engine/" in path)


def _names(found: re.Match[str]) -> int:
    return 1 if found["one"] else len(found["names"].split(","))


def _too_long() -> Iterator[str]:
    for path, text in _python():
        lines = text.count("\n")
        if lines > MODULE_LINES:
            yield f"{path}: {lines} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    yield f"{path}:{node.lineno}: {node.name} has {lines} lines"


def _namesakes() -> Iterator[str]:
    """Classes of one package that have one name."""
    homes: dict[tuple[str, str], list[str]] = {}
    for path, text in _python():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault((path.split("/")[0], node.name), []).append(path)
    for (_, name), paths in sorted(homes.items()):
        if len(paths) > 1:
            yield f"{name}: {', '.join(paths)}"


def counts() -> Iterator[Count]:
    """Everything that is counted."""
    arrows = imports(modules())
    found = circles(arrows)
    yield Count("import circles", len(found), 0, tuple(" <-> ".join(group) for group in found))
    rooms = {room(name) for name in arrows} - {""}
    between = {(room(one), room(other)) for one, others in arrows.items() for other in others}
    doors = sorted((one, other) for one, other in between if one and other and one != other)
    yield Count("rooms in luasprocs/", len(rooms), 13, tuple(sorted(rooms)))
    yield Count("arrows between them", len(doors), 40, tuple(f"{one} -> {other}" for one, other in doors))
    yield _homes("homes of yes/no, Python", 1, (path for path, text in _python() if _reads_flags(text)))
    yield _homes(
        "homes of yes/no, engine", 1, (path for path, text in _lua() if "/engine/" in path and "== 'yes'" in text)
    )
    yield _homes("homes of logging once", 1, (path for path, text in _python() if _SAID_BEFORE.search(text)))
    fields = ("duration_us", "origin", "depth", "status", "daemon", "commit")
    written = ((path, text) for path, text in (*_python(), *_lua()) if "/contract/" not in path)
    listed = (path for path, text in written if all(re.search(rf"""['"]{field}['"]""", text) for field in fields))
    yield _homes("homes of a record's fields beside the contract", 0, listed)
    yield _homes('homes of "function not found"', 1, (path for path, text in _python() if "unction not found" in text))
    beside = ((path, text) for path, text in _python() if "/contract/" not in path and "/triggers/" not in path)
    yield _homes(
        "files beside triggers/ that look up its kinds by name", 2, (p for p, text in beside if _looks_up_kinds(text))
    )
    yield _homes("functions that take (client, keys)", 0, _takes_client_and_keys())
    yield _homes("modules and functions that are too long", 0, _too_long())
    yield _homes("class names that a package has twice", 0, _namesakes())
    most, path = largest_chunk()
    yield Count("locals of the engine's largest chunk", most, 99, (path,))


def main() -> int:
    """Prints the counts; 1 where one is larger than wanted. `-v` names the files behind each."""
    missed = 0
    for count in counts():
        held = count.found <= count.wanted
        missed += not held
        print(f"{'ok  ' if held else 'MISS'} {count.found:4} (at most {count.wanted}) {count.what}")
        if not held or "-v" in sys.argv:
            print("".join(f"            {path}\n" for path in count.files), end="")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
